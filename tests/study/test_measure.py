"""How values are written."""

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from withstand.errors import InputError
from withstand.study.measure import Measure

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
    ("value", "text"), [(0.0, "0.00"), (999.994, "999.99"), (12345.6, "12,346"), (float("inf"), "never")]
)
def test_numbers_have_as_many_digits_as_they_need(value, text):
    assert BOUND.written(value) == text


def test_a_measure_comes_back_from_its_file():
    own = Measure(name="a", column="b", reduction="quantile", parameters={"q": 0.1}, better="lower", kind="attacked")
    assert Measure(**json.loads(json.dumps(own.plain()))) == own


def test_labels_and_directions():
    assert replace(BOUND, unit="l2", words="median distance").label == "median distance, l2"
    assert [replace(BOUND, better=each).direction for each in ("higher", "lower", "")] == [1, -1, 0]
    with pytest.raises(InputError, match="Measure: column must be a text, got ''"):
        Measure(name="a", column="")
