"""Looks at a count of hits: their errors by simulation and by exact sums."""

import numpy as np
import pytest
from scipy.stats import beta, binom

from withstand.evaluation.looks import looks


@pytest.mark.parametrize(("num_draws", "probability"), [(100, 0.7), (1000, 0.9), (10_000, 0.977), (100_000, 0.999)])
def test_the_limits_are_those_of_clopper_and_pearson(num_draws, probability):
    found = looks(num_draws, probability, alpha=0.001)
    assert [each.draws for each in found[:-1]] == [128 * 2**k for k in range(len(found) - 1)]
    assert found[-1].draws == num_draws
    assert all(each.draws <= num_draws / 2 for each in found[:-1])
    shares = [0.001 / 2 / max(1, len(found) - 1)] * (len(found) - 1) + [0.001 / 2 if len(found) > 1 else 0.001]
    for each, alpha in zip(found, shares, strict=True):
        assert each.no < each.yes
        for hits in (each.yes - 1, each.yes):
            if hits <= each.draws:
                assert (beta.ppf(alpha, hits, each.draws - hits + 1) >= probability) == (hits >= each.yes)
    assert found[-1].no == found[-1].yes - 1


def test_a_yes_at_the_limit_is_as_rare_as_alpha_says():
    alpha, probability = 0.05, 0.9
    found = looks(2000, probability, alpha=alpha)
    # Exact, over the looks: the distribution of the hits of those that go on.
    going_on, start, wrong = np.ones(1), 0, 0.0
    for look in found:
        new = np.convolve(going_on, binom.pmf(np.arange(look.draws - start + 1), look.draws - start, probability))
        wrong += new[look.yes :].sum()
        new[look.yes :] = 0
        new[: max(0, look.no + 1)] = 0
        going_on, start = new, look.draws
    assert alpha / 4 < wrong <= alpha


def test_what_cannot_be_proved_has_no_looks():
    assert looks(100, 0.99, alpha=0.001) == ()
