"""Scaling inside: by hand, with weights, at the borders of what numbers can hold."""

import tracemalloc

import numpy as np
import pytest

from withstand.data import memory
from withstand.errors import InputError
from withstand.estimators import base, scaling
from withstand.estimators.classifier import RobustClassifier
from withstand.estimators.scaling import describe, scaled


def test_offset_scale_and_quartiles_are_those_of_the_rows():
    x = np.array([[0.0, 5.0], [2.0, 5.0], [4.0, 5.0], [6.0, 9.0]])
    features = describe("Who", x, None, ["a", "b"])
    assert features.offset == (3.0, 6.0)
    assert features.scale == pytest.approx((5**0.5, 3**0.5))
    assert features.iqr == (3.0, 1.0)
    assert np.allclose(scaled(x, features).std(0), 1)


def test_weights_count_as_rows_that_are_there_several_times():
    x = np.random.default_rng(0).normal(size=(20, 3))
    times = np.arange(20) % 4
    weighted = describe("Who", x[times > 0], times[times > 0] * 0.3, ["a", "b", "c"])
    repeated = describe("Who", x.repeat(times, 0), None, ["a", "b", "c"])
    assert weighted.offset == pytest.approx(repeated.offset)
    assert weighted.scale == pytest.approx(repeated.scale)


def test_a_column_with_one_value_is_nothing_to_the_network_and_never_moves():
    features = describe("Who", np.array([[1.0, 7.0], [2.0, 7.0]]), None, ["a", "b"])
    assert features.movable == (True, False)
    assert scaled(np.array([[1.5, 1e6]]), features).tolist() == [[0.0, 0.0]]


@pytest.mark.parametrize("size", [1e200, 1e-200])
def test_numbers_that_cannot_be_squared_are_refused_by_column(size):
    x = np.array([[1.0, 1.0], [2.0, 2.0]]) * [1, size]
    with pytest.raises(ValueError, match="Who: column 'b' holds numbers too large or too small to scale"):
        describe("Who", x, None, ["a", "b"])


def test_answers_do_not_depend_on_the_units_of_the_columns(blobs, small):
    x, y = blobs
    first = RobustClassifier("noise", 0.3, **small).fit(x, y)
    other = RobustClassifier("noise", 0.3, **small).fit(1024 * x + 64, y)
    assert np.allclose(first.predict_proba(x), other.predict_proba(1024 * x + 64), atol=1e-4)


def test_a_constant_column_is_warned_of_by_name_and_changes_no_answer(blobs, small):
    x, y = blobs
    wide = np.column_stack([x, np.full(120, 3.0)])
    with pytest.warns(UserWarning, match=r"RobustClassifier: columns with one value are ignored: 'x4'") as caught:
        classifier = RobustClassifier("noise", 0.3, **small).fit(wide, y)
    assert [each.filename for each in caught] == [__file__]
    elsewhere = wide + np.array([0, 0, 0, 0, 1e6])
    assert np.array_equal(classifier.predict_proba(elsewhere), classifier.predict_proba(wide))
    assert classifier.robust_score(wide, y) == classifier.robust_score(elsewhere, y) < classifier.score(wide, y)


@pytest.mark.parametrize("num", [1, 2, 7])
@pytest.mark.parametrize("is_weighted", [False, True])
def test_some_columns_at_a_time_give_the_numbers_of_all_at_once(num, is_weighted, monkeypatch):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(300, num)) * 10.0 ** np.arange(num)
    weights = rng.random(300) if is_weighted else None
    rows = rng.permutation(300)
    names = [f"x{each}" for each in range(num)]
    once = describe("Who", x[rows], weights, names)
    monkeypatch.setattr(scaling, "VALUES_AT_ONCE", 600)
    assert describe("Who", x, weights, names, rows=rows) == once
    assert describe("Who", np.asfortranarray(x), weights, names, rows=rows) == once


def test_rows_in_32_bits_are_scaled_in_64(blobs):
    x = blobs[0].astype(np.float32)
    names = [f"x{each}" for each in range(x.shape[1])]
    features = describe("Who", x.astype(np.float64), None, names)
    assert describe("Who", x, None, names) == features
    assert np.array_equal(scaled(x, features), scaled(x.astype(np.float64), features))


@pytest.mark.parametrize("kind", ["float32", "float64"])
@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("options", [{}, {"calibrate": 0.1}])
def test_a_fit_and_a_prediction_hold_little_more_than_the_rows_in_32_bits(kind, order, options, monkeypatch):
    """PyTorch's copy in 32 bits is not counted here, so all the rest must stay below half of it."""
    monkeypatch.setattr(scaling, "VALUES_AT_ONCE", 2**14)
    monkeypatch.setattr(base, "ROWS_AT_ONCE", 2**8)
    x = np.asarray(np.random.default_rng(0).normal(size=(20_000, 100)), kind, order=order)
    y = (x[:, 0] > 0).astype(np.int64)
    classifier = RobustClassifier("regular", hidden=(4,), epochs=1, batch_size=5000, device="cpu", **options)
    classifier.fit(x[:50], y[:50])  # imports
    tracemalloc.start()
    try:
        classifier.fit(x, y).predict(x)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 0.5 * 4 * x.size


def test_a_table_that_does_not_fit_in_memory_is_refused_before_the_training(blobs, small, monkeypatch):
    monkeypatch.setattr(memory, "available_memory", lambda: 4 * 120 * 4 - 1)
    with pytest.raises(InputError, match=r"RobustClassifier: .*120 rows x 4 features needs .* GB of memory"):
        RobustClassifier("regular", **small).fit(*blobs)
