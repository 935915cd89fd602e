import pytest
import torch

from withstand.functional.augmentation.proportions import beta, dirichlet
from withstand.functional.random import RowStreams, stream


@pytest.mark.parametrize("alpha", [0.05, 0.5, 1.0, 3.0])
@pytest.mark.parametrize("source", ["one", "rows"])
def test_shares_have_the_moments_of_dirichlet_numbers(alpha, source):
    count, parts = (20000, 3) if source == "one" else (2000, 3)
    rng = stream(0, "x") if source == "one" else RowStreams(0, torch.arange(count))
    shares = dirichlet(count, parts, alpha, rng=rng)
    assert torch.allclose(shares.sum(1), torch.ones(count))
    variance = (parts - 1) / (parts**2 * (parts * alpha + 1))
    assert shares.mean(0).tolist() == pytest.approx([1 / parts] * parts, abs=5 * (variance / count) ** 0.5)
    assert shares.var(0).tolist() == pytest.approx([variance] * parts, rel=0.04 if source == "one" else 0.12)


@pytest.mark.parametrize("alpha", [0.5, 1.0, 4.0])
def test_beta_numbers_follow_their_distribution(alpha):
    from scipy import stats

    drawn = beta(20000, alpha, rng=stream(0, "x"))
    assert stats.kstest(drawn.double().numpy(), stats.beta(alpha, alpha).cdf).pvalue > 0.01


def test_tiny_concentrations_give_all_to_one_part():
    shares = dirichlet(100, 3, 1e-4, rng=stream(0, "x"))
    assert shares.isfinite().all()
    assert shares.amax(1).median() > 0.999


@pytest.mark.parametrize(("alpha", "largest"), [(5e-324, 1.0), (1e-40, 1.0), (1e39, 1 / 3), (1.7e308, 1 / 3)])
def test_concentrations_beyond_float32_give_their_limits(alpha, largest):
    shares = dirichlet(100, 3, alpha, rng=stream(0, "x"))
    assert shares.amax(1).tolist() == pytest.approx([largest] * 100)
