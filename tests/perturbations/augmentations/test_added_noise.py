"""FourierNoise and PatchGaussian."""

import numpy as np
import pytest
import torch
from torch import nn

from withstand.data.space import Space
from withstand.functional.random import stream
from withstand.perturbations.augmentations.fourier_noise import FourierNoise
from withstand.perturbations.augmentations.patch_gaussian import PatchGaussian


def draw(perturbation, x):
    y, space = torch.zeros(len(x), dtype=torch.long), Space.like(x, box=(0.0, 1.0))
    return perturbation.draw(x, y, nn.Identity(), space=space, num_draws=1, rng=stream(0, "x")).inputs[0]


@pytest.mark.parametrize(("size", "channels"), [(32, 3), (64, 1)])
def test_the_norm_of_the_unclipped_waves_is_exponential(size, channels):
    added = FourierNoise(strength=10.0).augment(torch.zeros(600, channels, size, size), rng=stream(0, "x"))
    norms = added.flatten(2).norm(dim=2) / (size / 32)
    assert norms.mean().item() == pytest.approx(10, rel=0.1)
    assert (norms > 10).float().mean().item() == pytest.approx(np.exp(-1), abs=0.05)
    if channels == 3:
        assert abs(np.corrcoef(norms.T.numpy())[0, 1]) < 0.15


def test_waves_have_whole_numbers_of_periods_up_to_the_size():
    added = FourierNoise().augment(torch.zeros(2000, 1, 8, 8), rng=stream(0, "x"))[:, 0]
    distinct = {tuple((each / each.abs().max()).flatten().mul(100).round().tolist()) for each in added}
    assert 1500 < len(distinct) <= 8 * 448  # 8 frequencies, 448 angles
    copies = draw(FourierNoise(), torch.full((10, 3, 8, 8), 0.5))
    assert (copies.min(), copies.max()) == (0, 1)


def test_patches_are_squares_with_the_noise_of_one_std():
    x = torch.full((800, 3, 20, 30), 0.5)
    added = PatchGaussian(width=9, std=0.1).augment(x, rng=stream(0, "x")) - 0.5
    changed = (added != 0).all(1)
    assert torch.equal(changed, (added != 0).any(1))
    rows, columns = changed.any(2), changed.any(1)
    assert torch.equal(changed, rows[:, :, None] & columns[:, None, :])
    inner = (~changed[:, 0].any(1) & ~changed[:, -1].any(1), ~changed[:, :, 0].any(1) & ~changed[:, :, -1].any(1))
    assert set(rows.sum(1)[inner[0]].tolist()) == set(columns.sum(1)[inner[1]].tolist()) == {9}
    assert rows.sum(1).min() == columns.sum(1).min() == 5  # the centre is inside
    std = torch.stack([each[:, own].std() for each, own in zip(added, changed, strict=True)])
    assert std.mean().item() == pytest.approx(0.05, rel=0.1)
    assert 0.09 < std.max() < 0.115
    centre = (rows.float() * torch.arange(20)).sum(1) / rows.sum(1)
    assert centre.mean().item() == pytest.approx(9.5, abs=0.6)


def test_random_sides_are_uniform():
    added = PatchGaussian(width=6, is_random=True).augment(torch.zeros(3000, 1, 40, 40), rng=stream(0, "x"))
    counts = torch.bincount((added[:, 0] != 0).any(2).sum(1), minlength=7)
    assert counts[0] == 0
    assert counts[1:].tolist() == pytest.approx([500] * 6, rel=0.3)


def test_a_patch_as_large_as_the_image_is_all_of_it_in_the_middle():
    added = PatchGaussian(width=99).augment(torch.zeros(5, 1, 20, 20), rng=stream(0, "x"))
    assert (added != 0).all()
