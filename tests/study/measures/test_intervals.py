"""Intervals, against scipy and by counting how often they hold."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from withstand.study.measures.intervals import normal, order_statistics, percentiles, resampled_means, share, wilson


@settings(max_examples=25)
@given(st.integers(1, 5000).flatmap(lambda count: st.tuples(st.integers(0, count), st.just(count))))
def test_wilson_agrees_with_scipy(hits):
    ours, count = hits
    expected = stats.binomtest(ours, count).proportion_ci(0.95, method="wilson")
    found = wilson(ours / count, count)
    assert found == pytest.approx(tuple(expected), abs=1e-12)
    assert found[0] <= ours / count <= found[1]


def test_a_share_of_zeros_and_ones_has_wilsons_interval():
    assert share(0.3, np.sqrt(0.3 * 0.7 / 50), 50) == pytest.approx(wilson(0.3, 50))


def test_a_mean_of_many_shares_has_nearly_the_normal_interval():
    values = np.random.default_rng(0).beta(8, 2, size=20_000)
    error = values.std() / np.sqrt(len(values))
    assert share(values.mean(), error, len(values)) == pytest.approx(normal(values.mean(), error), abs=0.02 * error)


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_shares_that_all_agree_have_an_interval(value):
    assert share(value, 0.0, 40) == wilson(value, 40)
    assert share(0.5, 0.0, 40) == wilson(0.5, 40)


@given(st.integers(1, 400), st.sampled_from([0.05, 0.5, 0.9]))
def test_order_statistics_agree_with_scipy(count, quantile):
    expected = stats.quantile_test(np.arange(count), q=0, p=quantile).confidence_interval(0.95)
    found = order_statistics(count, quantile)
    if found is None:
        assert np.isnan(expected).any()
    else:
        assert found == tuple(expected)


def test_an_interval_of_order_statistics_holds_as_often_as_it_says():
    for count, quantile in ((20, 0.5), (300, 0.5), (300, 0.1)):
        low, high = order_statistics(count, quantile)
        # The quantile lies between the two, if at least low + 1 and at most high of the values are below it.
        below = stats.binom(count, quantile)
        assert below.cdf(high) - below.cdf(low) >= 0.95
        assert below.cdf(high - 1) - below.cdf(low) < 0.975


def test_means_under_a_bootstrap_have_the_mean_and_spread_of_theory():
    values = np.random.default_rng(1).normal(size=(500, 2)) * [1, 3]
    means = resampled_means(values, 4000)
    assert means.shape == (4000, 2)
    error = values.std(0) / np.sqrt(500)
    assert means.mean(0) == pytest.approx(values.mean(0), abs=4 * error.max() / np.sqrt(4000))
    assert means.std(0) == pytest.approx(error, rel=0.05)
    assert np.array_equal(resampled_means(values, 50), resampled_means(values, 50))


def test_a_bootstrap_in_parts_draws_whole_samples(monkeypatch):
    values = np.arange(7.0)[:, None] == np.arange(7.0)
    monkeypatch.setattr("withstand.study.measures.intervals.AT_ONCE", 20)
    times = resampled_means(values.astype(float), 11) * 7
    assert times.shape == (11, 7)
    assert np.allclose(times, times.round())
    assert np.allclose(times.sum(1), 7)
    assert len({tuple(each) for each in times.round()}) > 5


def test_percentiles_leave_a_fortieth_on_each_side():
    low, high = percentiles(np.arange(10_001.0))
    assert (low, high) == pytest.approx((250, 9750))
