"""How values are written."""

import json
from dataclasses import replace
from inspect import signature

import pytest
from hypothesis import given
from hypothesis import strategies as st

from withstand.errors import InputError
from withstand.study.measures.measure import BY_CLASS, NUMBER, REDUCTION_PARAMETERS, Measure
from withstand.study.measures.reductions import REDUCTIONS

BOUND = Measure(name="bound", column="bound")


@given(st.floats(1e-3, 1e6))
def test_a_bound_is_rounded_to_the_side_on_which_it_holds(value):
    upper, lower = (
        float(replace(BOUND, kind=kind).written(value).replace(",", "")) for kind in ("upper bound", "lower bound")
    )
    digits = 2 if value < 1000 else 0
    assert lower <= value <= upper
    assert upper - lower <= 1.001 * 10**-digits


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0, "0.00"), (999.994, "999.99"), (12345.6, "12,346"), (float("inf"), "inf"), (-float("inf"), "-inf")],
)
def test_numbers_have_as_many_digits_as_they_need(value, text):
    assert BOUND.written(value) == text


def test_only_a_distance_is_never_reached():
    assert replace(BOUND, better="higher").written(float("inf")) == "never"
    assert replace(BOUND, better="lower").written(float("inf")) == "inf"


WRONG = [
    ("meen", {}),
    ("mean", {"q": 0.5}),
    ("quantile", {}),
    ("quantile", {"q": float("nan")}),
    ("area", {"limit": 0}),
]
WRONG += [("quantile", {"q": q}) for q in (0, 1, -0.1, "0.5", True)] + [("area", {"limit": float("inf")})]
WRONG += [("calibration_error", {"bins": bins}) for bins in (0, 1.5, True)] + [("calibration_error", {"correct": 1})]
WRONG += [("share_at_least", {"threshold": float("nan")}), ("by_class", {"class": 3}), ("number", {"samples": "yes"})]


@pytest.mark.parametrize(("reduction", "parameters"), WRONG)
def test_what_cannot_be_reduced_is_refused_before_anything_is_measured(reduction, parameters):
    with pytest.raises(InputError, match=r"^Measure: bound"):
        replace(BOUND, reduction=reduction, parameters=parameters)


def test_the_reductions_and_their_parameters_are_those_of_the_functions():
    assert {*REDUCTIONS, BY_CLASS, NUMBER} == set(REDUCTION_PARAMETERS)
    for name, function in REDUCTIONS.items():
        own = list(signature(function).parameters.values())[2:]
        known = REDUCTION_PARAMETERS[name]
        assert {each.name: each.default is each.empty for each in own} == {n: p.is_required for n, p in known.items()}


def test_a_measure_comes_back_from_its_file():
    own = Measure(name="a", column="b", reduction="quantile", parameters={"q": 0.1}, better="lower", kind="attacked")
    assert Measure(**json.loads(json.dumps(own.plain()))) == own


def test_labels_and_directions():
    assert replace(BOUND, unit="l2", words="median distance").label == "median distance, l2"
    assert [replace(BOUND, better=each).direction for each in ("higher", "lower", "")] == [1, -1, 0]
    with pytest.raises(InputError, match="Measure: column must be a text, got ''"):
        Measure(name="a", column="")
