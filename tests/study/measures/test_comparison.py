"""Paired comparison, against scipy and closed forms."""

import numpy as np
import polars
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from withstand.errors import InputError
from withstand.study.measures.comparison import compare


def frame(values, **others):
    count = len(values)
    about = {"number": range(count), "identifier": [None] * count, "label": [0] * count, "correct": values}
    return polars.DataFrame(about | others)


def pair(both, only_model, only_baseline, neither):
    ours = [True] * both + [True] * only_model + [False] * only_baseline + [False] * neither
    theirs = [True] * both + [False] * only_model + [True] * only_baseline + [False] * neither
    return compare(frame(ours), frame(theirs))


@given(st.tuples(*[st.integers(0, 40)] * 4).filter(sum))
def test_p_is_that_of_the_exact_binomial_test(counts):
    _, only_model, only_baseline, _ = counts
    found = pair(*counts)
    differing = only_model + only_baseline
    expected = stats.binomtest(only_model, differing).pvalue if differing else 1.0
    assert found.p == pytest.approx(expected)
    assert found.difference == pytest.approx((only_model - only_baseline) / sum(counts))
    assert (found.only_model, found.only_baseline, found.count) == (only_model, only_baseline, sum(counts))
    assert found.low <= found.difference <= found.high


def test_the_interval_is_that_of_the_difference_per_sample():
    found = pair(500, 150, 100, 250)
    gains = np.r_[np.zeros(750), np.ones(150), -np.ones(100)]
    expected = stats.norm(gains.mean(), gains.std() / np.sqrt(1000)).interval(0.95)
    assert (found.low, found.high) == pytest.approx(expected, abs=2e-3)


def test_shares_are_compared_without_p():
    rng = np.random.default_rng(0)
    theirs = rng.random(400)
    ours = theirs + rng.normal(0.02, 0.1, size=400)
    found = compare(frame(ours), frame(theirs))
    expected = stats.norm((ours - theirs).mean(), (ours - theirs).std() / 20).interval(0.95)
    assert (found.low, found.high) == pytest.approx(expected, abs=1e-3)
    assert (found.p, found.only_model) == (None, int((ours > theirs).sum()))


def test_the_other_way_round_is_the_opposite():
    ours, theirs = (frame(np.random.default_rng(seed).random(100) < 0.7) for seed in (0, 1))
    there, back = compare(ours, theirs), compare(theirs, ours)
    assert (there.difference, there.p, there.only_model) == (-back.difference, back.p, back.only_baseline)
    assert compare(ours, theirs) == there


def test_lines_are_paired_by_number():
    ours, theirs = (frame(np.random.default_rng(seed).random(50) < 0.5) for seed in (0, 1))
    assert compare(ours.sample(fraction=1, shuffle=True, seed=0), theirs) == compare(ours, theirs)


@pytest.mark.parametrize(
    "others",
    [{"label": [0, 0, 1]}, {"identifier": ["a", "b", "c"]}, {"number": [0, 1, 3]}],
)
def test_other_samples_are_refused(others):
    ours, theirs = frame([True, False, True]), frame([True, False, True], **others)
    for each in ((ours, theirs), (theirs, ours)):
        with pytest.raises(InputError, match=f"the same samples, got other ones: {next(iter(others))}"):
            compare(*each)


def test_missing_samples_columns_and_values_are_refused():
    with pytest.raises(InputError, match="the same samples, got 2 and 3"):
        compare(frame([True, False]), frame([True, False, True]))
    with pytest.raises(InputError, match="with the column top5"):
        compare(frame([True]), frame([True]), column="top5")
    for values in ([], [float("nan")], [None], [float("inf")]):
        with pytest.raises(InputError, match="finite values of correct of at least one sample"):
            compare(frame(values), frame(values))
