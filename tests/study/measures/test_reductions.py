"""Every reduction against an implementation of its own."""

import math
from dataclasses import replace

import numpy as np
import polars
import pytest
from scipy import stats
from sklearn.metrics import balanced_accuracy_score, recall_score

from withstand.errors import InputError, TrainingError
from withstand.study.measures.intervals import wilson
from withstand.study.measures.measure import Measure
from withstand.study.measures.reductions import BY_CLASS, NUMBER, REDUCTIONS, apply, class_measure, reduce_measure

RNG = np.random.default_rng(0)


def measure(reduction, column="value", **parameters):
    return Measure(name="m", column=column, reduction=reduction, parameters=parameters, words="words", percent=True)


def found(reduction, values, *, column="value", **parameters):
    return apply(measure(reduction, column, **parameters), polars.DataFrame({column: values}))


def test_the_mean_of_truth_values_has_wilsons_interval():
    assert found("mean", [True] * 30 + [False] * 10) == (0.75, 40, *wilson(0.75, 40))


def test_the_mean_of_numbers_has_the_normal_interval():
    values = RNG.normal(5, 3, size=400)
    expected = stats.norm(values.mean(), values.std(ddof=1) / 20).interval(0.95)
    assert found("mean", values) == pytest.approx((values.mean(), 400, *expected))


def test_the_mean_of_shares_stays_within_them():
    shares = np.r_[np.ones(99), 0.5].astype(np.float32)
    value, count, low, high = found("mean", shares)
    assert (value, count) == (pytest.approx(0.995), 100)
    assert 0.95 < low < value < high <= 1
    assert found("mean", np.ones(50, np.float32)) == (1.0, 50, *wilson(1.0, 50))
    many = RNG.beta(2, 3, size=5000)
    expected = stats.norm(many.mean(), many.std(ddof=1) / np.sqrt(5000)).interval(0.95)
    assert found("mean", many)[2:] == pytest.approx(expected, abs=2e-4)


def test_float32_is_averaged_in_double_precision():
    values = np.full(100_000, 0.1, np.float32)
    assert found("mean", values).value == pytest.approx(float(np.float32(0.1)), abs=1e-12)


@pytest.mark.parametrize("count", [1, 2, 5, 6, 99, 100])
def test_the_median_is_the_lower_one_and_infinity_is_a_value(count):
    values = RNG.exponential(size=count)
    value, size, low, high = found("median", values)
    assert (value, size) == (np.quantile(values, 0.5, method="lower"), count)
    expected = stats.quantile_test(values, q=0, p=0.5).confidence_interval(0.95)
    assert (low, high) == ((None, None) if np.isnan(expected).any() else tuple(expected))
    endless = np.where(np.arange(count) < count / 3, values, np.inf)
    assert found("median", endless).value == np.quantile(endless, 0.5, method="lower")


def test_quantiles_agree_with_numpy():
    values = RNG.normal(size=1001).astype(np.float32)
    for q in (0.1, 0.25, 0.9):
        assert found("quantile", values, q=q).value == np.quantile(values, q, method="lower")
    with pytest.raises(InputError, match="q must be"):
        found("quantile", values, q=1.0)


def labelled(sizes, *, skew=0.1, seed=1):
    rng = np.random.default_rng(seed)
    label = np.repeat(np.arange(len(sizes)), sizes)
    return polars.DataFrame({"label": label, "value": rng.random(len(label)) < 0.9 - skew * label})


def test_the_balanced_mean_agrees_with_scikit_learn():
    frame = labelled([50, 5, 0, 20])
    label, right = frame["label"].to_numpy(), frame["value"].to_numpy()
    own = apply(measure("balanced"), frame)
    assert own.value == pytest.approx(balanced_accuracy_score(label, np.where(right, label, label == 0)))
    assert own.count == 75


def test_the_interval_of_the_balanced_mean_adds_the_variances_of_the_classes():
    frame = labelled([900, 100, 400])
    variances = [own.var(ddof=1) / len(own) for own in (frame.filter(label=k)["value"].cast(float) for k in range(3))]
    value, _, low, high = apply(measure("balanced"), frame)
    assert (low, high) == pytest.approx(stats.norm(value, math.sqrt(sum(variances)) / 3).interval(0.95), abs=2e-3)
    whole = polars.DataFrame({"label": [0] * 100 + [1], "value": [True] * 101})
    assert apply(measure("balanced"), whole).low < 0.7  # one sample of a class does not say that all of it is right


def test_by_class_agrees_with_scikit_learn_and_names_the_classes():
    frame = labelled([50, 5, 0, 20])
    label, right = frame["label"].to_numpy(), frame["value"].to_numpy()
    pairs = reduce_measure(measure(BY_CLASS), frame, condition="clean", classes=("A", "B", "C", "D"))
    expected = recall_score(label, np.where(right, label, label == 0), labels=[0, 1, 3], average=None, zero_division=0)
    assert [row.measure for _, row in pairs] == ["m A", "m B", "m D"]
    assert [row.value for _, row in pairs] == pytest.approx(list(expected))
    assert [row.count for _, row in pairs] == [50, 5, 20]
    assert [each.words for each, _ in pairs] == ["words of A", "words of B", "words of D"]
    assert (pairs[1][1].low, pairs[1][1].high) == wilson(pairs[1][1].value, 5)
    again = reduce_measure(pairs[1][0], frame, condition="clean", classes=("A", "B", "C", "D"))
    assert again == [pairs[1]]
    assert class_measure(pairs[1][0], "A") == pairs[1][0]


def calibration(confidence, correct, bins):
    """The definition, bin by bin."""
    total = 0.0
    for k in range(bins):
        inside = [j for j, c in enumerate(confidence) if k / bins < c <= (k + 1) / bins or (k == 0 and c == 0)]
        if inside:
            gap = np.mean([correct[j] for j in inside]) - np.mean([confidence[j] for j in inside])
            total += len(inside) / len(confidence) * abs(gap)
    return total


def calibrated(count, seed, *, overconfident=0.0):
    rng = np.random.default_rng(seed)
    confidence = rng.uniform(0.3, 1.0, size=count).astype(np.float32)
    return polars.DataFrame({"value": confidence, "correct": rng.random(count) < confidence - overconfident})


@pytest.mark.parametrize("bins", [1, 10, 15])
def test_the_calibration_error_agrees_with_its_definition(bins):
    frame = calibrated(200, 0)
    own = apply(measure("calibration_error", bins=bins), frame)
    assert own.value == pytest.approx(calibration(frame["value"].to_list(), frame["correct"].to_list(), bins))
    assert 0 <= own.low <= own.value <= own.high
    edges = polars.DataFrame({"value": [0.0, 0.5, 1.0], "correct": [False, True, True]})
    assert apply(measure("calibration_error", bins=2), edges).value == pytest.approx(0.5 / 3)


@pytest.mark.parametrize("overconfident", [0.0, 0.03, 0.2])
def test_the_interval_of_the_calibration_error_holds_the_truth(overconfident):
    # Confidence is spread evenly within each bin, so that the truth is the gap.
    results = [
        apply(measure("calibration_error", bins=10), calibrated(1000, seed, overconfident=overconfident))
        for seed in range(60)
    ]
    held = np.mean([own.low <= overconfident <= own.high for own in results])
    assert held >= 0.88
    assert np.mean([own.high - own.low for own in results]) < 0.1


def test_shares_at_least_and_areas_agree_with_their_definitions():
    values = np.r_[RNG.exponential(size=200), np.inf, 0.0, 0.5]
    own = found("share_at_least", values, threshold=0.5)
    assert own == ((values >= 0.5).mean(), 203, *wilson((values >= 0.5).mean(), 203))
    assert found("share_at_least", values, threshold=math.inf).value == 1 / 203
    grid = (np.arange(4000) + 0.5) / 4000 * 2
    curve = np.mean([(values > each).mean() for each in grid])
    own = found("area", values, limit=2.0)
    assert own.value == pytest.approx(curve, abs=1e-3)
    cut = np.minimum(values, 2) / 2
    expected = stats.norm(cut.mean(), cut.std(ddof=1) / np.sqrt(203)).interval(0.95)
    assert own[2:] == pytest.approx(expected, abs=3e-3)


def test_a_number_is_of_the_model_as_a_whole():
    frame = polars.DataFrame({"number": [0, 1, 2]})
    ((_, row),) = reduce_measure(measure(NUMBER), frame, condition="l2 to l2", numbers={"value": 2.5})
    assert (row.value, row.count, row.low, row.high) == (2.5, 1, None, None)
    ((_, row),) = reduce_measure(measure(NUMBER, samples=True), frame, condition="l2 to l2", numbers={"value": 2.5})
    assert row.count == 3
    assert reduce_measure(measure(NUMBER), frame, condition="l2 to l2", numbers={"other": 2.5}) == []


@pytest.mark.parametrize("reduction", [*REDUCTIONS, BY_CLASS])
def test_a_missing_column_or_no_value_makes_no_row(reduction):
    needed = {"quantile": {"q": 0.5}, "share_at_least": {"threshold": 1.0}, "area": {"limit": 1.0}}.get(reduction, {})
    asked = measure(reduction, **needed)
    frame = polars.DataFrame({"label": [0], "value": [None], "correct": [True]}, schema_overrides={"value": float})
    assert reduce_measure(replace(asked, column="x"), frame, condition="clean", classes=("A",)) == []
    assert reduce_measure(asked, frame, condition="clean", classes=("A",)) == []


@pytest.mark.parametrize("reduction", ["mean", "median", "balanced", "calibration_error"])
def test_what_is_not_a_number_stops_everything(reduction):
    frame = polars.DataFrame({"label": [0, 1], "value": [0.5, math.nan], "correct": [True, True]})
    with pytest.raises(TrainingError, match=r"value under fog/3 is not a number for 1 samples"):
        reduce_measure(measure(reduction), frame, condition="fog/3")
    with pytest.raises(TrainingError):
        reduce_measure(measure(NUMBER), frame, condition="fog/3", numbers={"value": math.nan})


def test_classes_of_one_name_have_a_row_each():
    frame = polars.DataFrame({"label": [0, 0, 1, 2], "value": [True, False, True, True]})
    rows = reduce_measure(measure(BY_CLASS), frame, condition="clean", classes=("crane", "fox", "crane"))
    assert [(own.name, row.value, row.count) for own, row in rows] == [
        ("m crane (0)", 0.5, 2),
        ("m fox", 1.0, 1),
        ("m crane (2)", 1.0, 1),
    ]
