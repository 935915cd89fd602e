import pytest
import torch
from scipy import integrate, stats

from withstand.functional.random import stream, uniform
from withstand.functional.tilting import log_tilt, truncated_exponential

SLOPES = [-300.0, -3.0, -1e-5, 0.0, 1e-3, 0.5, 8.0, 1e5]


@pytest.mark.parametrize("slope", SLOPES)
def test_points_follow_the_truncated_exponential(slope):
    numbers = uniform((5000, 1), rng=stream(0, "tilt", str(slope)))
    points = truncated_exponential(torch.full((5000, 1), slope), numbers)[:, 0].double()
    assert points.abs().max() <= 1
    if abs(slope) < 1e-4:
        assert stats.kstest(points.numpy(), stats.uniform(-1, 2).cdf).pvalue > 0.01
    else:
        mirrored = (1 - points * (1 if slope > 0 else -1)).numpy()
        law = stats.truncexpon(b=2 * abs(slope), scale=1 / abs(slope))
        # At the steepest slope 32 bits leave no more than a few values below 1.
        if abs(slope) < 1e4:
            assert stats.kstest(mirrored, law.cdf).pvalue > 0.01
        else:
            assert mirrored.max() < 1e-3


@pytest.mark.parametrize("slope", [-20.0, -0.1, 0.0, 0.005, 0.02, 3.0, 50.0])
def test_the_ratio_of_the_densities_integrates_to_one(slope):
    def density(t: float) -> float:
        one = torch.tensor([[t]], dtype=torch.float64)
        return 0.5 * log_tilt(torch.tensor([[slope]], dtype=torch.float64), one).exp().item()

    assert integrate.quad(density, -1, 1)[0] == pytest.approx(1.0, rel=1e-6)


def test_steep_slopes_overflow_nothing():
    ratio = log_tilt(torch.tensor([[1e6, -1e6]]), torch.tensor([[1.0, -1.0]]))
    assert ratio.isfinite().all()
    assert ratio.item() == pytest.approx(2 * torch.tensor(2e6).log().item(), rel=1e-4)
