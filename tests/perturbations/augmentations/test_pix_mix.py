import numpy as np
import pytest
import torch
from scipy import stats
from torch import nn

from withstand.data.space import Space
from withstand.functional.augmentation.fractals import fractals
from withstand.functional.augmentation.hashed import uniforms
from withstand.functional.random import integers, stream
from withstand.perturbations.augmentations import pix_mix
from withstand.perturbations.augmentations.pix_mix import PixMix


def images(count, size=8):
    x = torch.rand(count, 3, size, size, generator=torch.Generator().manual_seed(0))
    return x.mul(255).round().div(255)


def draw(perturbation, x):
    y, space = torch.zeros(len(x), dtype=torch.long), Space.like(x, box=(0.0, 1.0))
    return perturbation.draw(x, y, nn.Identity(), space=space, num_draws=1, rng=stream(0, "x")).inputs[0]


def blend(x, other, numbers, beta):
    """Return one blend, from the numbers behind the choices of operation, partner and picture."""
    coin, first, second, kind = numbers[8:12]
    a = first ** (1 / beta) if coin < 0.5 else 2 - (1 - first) ** (1 / beta)
    b = (1 - (1 - second) ** (1 / beta)) * (1 if coin < 0.5 else -1)
    if kind < 0.5:
        return np.clip((a * (2 * x - 1) + b * (2 * other - 1) + 1) / 2, 0, 1)
    return np.clip((2 * x) ** a * np.maximum(2 * other, 1e-37) ** b / 2, 0, 1)


def test_images_are_blended_as_often_and_as_strongly_as_published(monkeypatch):
    monkeypatch.setattr(pix_mix, "random_operation", lambda levels, numbers, **_: 255 - levels)
    monkeypatch.setattr(PixMix, "_pictures", lambda self, x, numbers: torch.full_like(x, 0.25))
    x = images(60)
    copies = draw(PixMix(), x).double().numpy()
    seeds = integers((60, 5), 0, 1 << 62, rng=stream(0, "x"))
    rounds = []
    for row in range(60):
        original = x[row].double().numpy()
        start = uniforms(seeds[row, :1], 5)[0].tolist()
        result = 1 - original if start[3] < 0.5 else original
        rounds.append(int(start[4] * 5))
        for count in range(rounds[-1]):
            numbers = uniforms(seeds[row, count + 1 : count + 2], 12)[0].double().tolist()
            result = blend(result, 1 - original if numbers[3] < 0.5 else 0.25, numbers, 3.0)
        assert copies[row] == pytest.approx(result, abs=1e-4)
    assert set(rounds) == {0, 1, 2, 3, 4}


def test_weights_are_beta_numbers():
    numbers = torch.rand(4000, 3, generator=torch.Generator().manual_seed(0))
    a, b = (each.double().numpy() for each in PixMix(concentration=4.0)._weights(numbers))
    near = numbers[:, 0].numpy() < 0.5
    for drawn, law in ((a[near], stats.beta(4, 1)), (b[near], stats.beta(1, 4))):
        assert stats.kstest(drawn, law.cdf).pvalue > 0.01
    for drawn in (a[~near] - 1, -b[~near]):
        assert stats.kstest(drawn, stats.beta(1, 4).cdf).pvalue > 0.01


def test_pictures_are_parts_of_fractals():
    x = images(30)
    numbers = torch.rand(30, 12, generator=torch.Generator().manual_seed(0))
    whole = fractals(8, 10, 10)
    for part, own in zip(PixMix(num_pictures=8)._pictures(x, numbers), numbers, strict=True):
        top, left = int(own[5] * 3), int(own[6] * 3)
        expected = whole[int(own[4] * 8), :, top : top + 8, left : left + 8]
        assert torch.equal(part, expected if own[7] < 0.5 else expected.flip(2))


def test_fractals_differ_have_structure_and_are_the_same_again():
    pictures = fractals(12, 40, 40)
    assert (pictures.min(), pictures.max() <= 1) == (0, True)
    spread = pictures.std((2, 3)).mean(1)
    assert (spread > 0.02).float().mean() > 0.9
    away = torch.cdist(pictures.flatten(1), pictures.flatten(1)) + 99 * torch.eye(12)
    assert away.min() > 1
    fractals.cache_clear()
    assert torch.equal(fractals(12, 40, 40), pictures)
    assert not torch.equal(fractals(12, 40, 40, seed=1), pictures)
