import numpy as np
import pytest
import torch
from scipy.stats import poisson

from withstand.functional.random import stream
from withstand.perturbations.corruptions.imagenet_c.shot_noise import ShotNoise


@pytest.mark.parametrize("value", [51 / 255, 0.2031])
@pytest.mark.parametrize(("severity", "scale"), [(1, 60), (5, 3)])
def test_mean_and_variance_are_those_of_poisson_counts_cut_at_white(value, severity, scale):
    noise = ShotNoise(severity=severity, pixels=224)
    x = torch.full((1, 1, 300, 300), value)
    changed = noise.corrupt(x, noise.sample(x.shape, rng=stream(0, "a")))
    counts = np.arange(200)
    chances, results = poisson.pmf(counts, value * scale), np.minimum(counts / scale, 1)
    mean = (chances * results).sum()
    variance = (chances * (results - mean) ** 2).sum()
    assert changed.mean().item() == pytest.approx(mean, abs=4 * (variance / x.numel()) ** 0.5)
    assert changed.var().item() == pytest.approx(variance, rel=0.03)
    assert variance == pytest.approx(value / scale, rel=0.05)


def test_results_are_counts_over_the_scale():
    noise = ShotNoise(severity=3, pixels=224)
    x = torch.rand(1, 3, 32, 32, generator=stream(0, "x"))
    counts = noise.corrupt(x, noise.sample(x.shape, rng=stream(0, "a"))) * 12
    assert torch.allclose(counts, counts.round(), atol=1e-5)


def test_uniform_numbers_are_inside_the_unit_interval():
    u = ShotNoise().sample((4, 3, 200, 200), rng=stream(0, "a"))
    assert u.min() >= 2.0**-25
    assert u.max() < 1
