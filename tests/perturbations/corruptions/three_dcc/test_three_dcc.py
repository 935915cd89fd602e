"""The corruptions of 3DCC against numpy and scipy."""

import numpy as np
import pytest
import torch
from PIL import Image, ImageOps
from scipy.stats import kstest, poisson

from withstand.functional.levels import to_levels
from withstand.functional.random import integers, stream
from withstand.perturbations.corruptions.three_dcc.color_quant import ColorQuant
from withstand.perturbations.corruptions.three_dcc.iso_noise import IsoNoise
from withstand.perturbations.corruptions.three_dcc.low_light import LowLight

LEVELS = integers((2, 3, 15, 20), 20, 231, rng=stream(0, "photos"))
X = LEVELS / 255


def drawn(corruption):
    return corruption.sample(X.shape, rng=stream(0, "noise"))


@pytest.mark.parametrize(("severity", "std"), [(1, 0.056), (3, 0.126), (5, 0.266)])
def test_iso_noise_counts_25_photons_and_adds_noise(severity, std):
    corruption = IsoNoise(severity=severity, pixels=224)
    numbers, normals = drawn(corruption)
    counts = np.clip(poisson.ppf(numbers.double().numpy(), LEVELS.double().numpy() / 255 * 25) / 25, 0, 1)
    expected = np.clip(counts + std * normals.numpy(), 0, 1)
    assert np.abs(corruption.corrupt(X, (numbers, normals)).numpy() - expected).max() < 1e-5


@pytest.mark.parametrize(("severity", "share"), [(1, 0.6), (2, 0.5), (5, 0.2)])
def test_low_light_is_a_dark_square_of_the_stretched_image_with_noise(severity, share):
    corruption = LowLight(severity=severity, pixels=224)
    numbers, normals = drawn(corruption)
    low, high = (getattr(LEVELS.flatten(1), end)(1)[:, None, None, None] for end in ("amin", "amax"))
    dark = ((LEVELS - low).double() / (high - low)).numpy() ** 2 * share
    counts = poisson.ppf(numbers.double().numpy(), dark * 120) / 120
    made = corruption.corrupt(X, (numbers, normals)).numpy()
    apart = np.abs(made - np.clip(np.clip(counts, 0, 1) + 0.018 * normals.numpy(), 0, 1))
    assert (apart < 1e-5).mean() > 0.999  # a rate in float32 may be one count apart
    assert made.mean() < share


def test_low_light_of_one_value_is_black_but_for_the_noise():
    corruption = LowLight(severity=1, pixels=224)
    numbers, normals = drawn(corruption)
    made = corruption.corrupt(torch.full_like(X, 0.7), (numbers, normals))
    assert torch.equal(made, (0.018 * normals).clamp(0, 1))


@pytest.mark.parametrize("corruption", [IsoNoise(), LowLight()], ids=lambda each: each.published_name())
def test_draws_are_uniform_and_normal(corruption):
    numbers, normals = (each.flatten().numpy() for each in corruption.sample((4, 3, 40, 40), rng=stream(0, "law")))
    assert kstest(numbers, "uniform").pvalue > 1e-3
    assert kstest(normals, "norm").pvalue > 1e-3


@pytest.mark.parametrize(("severity", "bits"), [(1, 5), (2, 4), (3, 3), (4, 2), (5, 1)])
def test_the_upper_bits_stay(severity, bits):
    made = to_levels(ColorQuant(severity=severity, pixels=224).corrupt(X, None))
    for own, levels in zip(made, LEVELS, strict=True):
        image = Image.fromarray(levels.permute(1, 2, 0).to(torch.uint8).numpy())
        expected = np.array(ImageOps.posterize(image, bits))
        assert np.array_equal(own.permute(1, 2, 0).numpy(), expected)
