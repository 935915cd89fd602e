import math

import numpy as np
import pytest
import torch
from torch import nn

from withstand.data.space import Space
from withstand.errors import InputError
from withstand.functional.augmentation.hashed import uniforms
from withstand.functional.random import stream
from withstand.perturbations.augmentations.prime import PRIME

SEEDS = torch.randint(2**62, (4000,), generator=torch.Generator().manual_seed(0))


def draw(perturbation, x, num_draws=1):
    y, space = torch.zeros(len(x), dtype=torch.long), Space.like(x, box=(0.0, 1.0))
    return perturbation.draw(x, y, nn.Identity(), space=space, num_draws=num_draws, rng=stream(0, "x")).inputs


def images(count=6, channels=3, size=16):
    return torch.rand(count, channels, size, size, generator=torch.Generator().manual_seed(0))


def test_without_strength_filter_and_colour_are_the_identity():
    x, prime = images(50), PRIME(filter_std=0.0, color_variance=0.0)
    assert torch.equal(prime._filter(x, SEEDS[:50]), x)
    assert torch.allclose(prime._color(x, SEEDS[:50]), x, atol=1e-6)


def test_kernels_are_the_identity_plus_normal_numbers_whose_std_is_uniform():
    impulse = torch.zeros(4000, 1, 5, 5)
    impulse[:, :, 2, 2] = 1
    kernels = PRIME(filter_std=4.0)._filter(impulse, SEEDS)[:, 0, 1:4, 1:4].flatten(1)
    kernels[:, 4] -= 1
    assert kernels.mean().item() == pytest.approx(0, abs=0.1)
    assert kernels.square().mean().item() == pytest.approx(16 / 3, rel=0.08)  # sigma uniform from 0 to 4
    assert kernels.abs().amax(1).min() < 0.1


def test_colours_have_the_variance_of_their_coefficients():
    x = torch.full((4000, 3, 1, 1), 0.5)
    added = PRIME(color_variance=0.02, color_frequencies=1)._color(x, SEEDS) - 0.5  # c_1 sin(pi / 2)
    assert added.var().item() == pytest.approx(0.01, rel=0.1)
    assert np.corrcoef(added[:, 0].flatten(), added[:, 1].flatten())[0, 1] == pytest.approx(0, abs=0.1)
    banded = PRIME(color_variance=0.02, color_frequencies=500, color_band=20)._color(images(2000), SEEDS[:2000])
    assert 0 < (banded - images(2000)).var().item() < 0.02 * 20 / 2


def test_cuts_and_temperatures_lie_in_their_ranges_at_arcsine_fractions():
    cut, temperature = PRIME(displacement_frequencies=20)._cut_and_temperature(uniforms(SEEDS, 3), 32 * 32)
    assert (cut.min(), cut.max()) == (2, 20)
    k, t = cut.double(), temperature.double()
    low = 1 / (math.pi * 32**2 * k.log())
    high = torch.maximum(low, 4 / (math.pi**3 * k**2 * k.log()))
    share = ((t - low) / (high - low))[high > low]
    assert -1e-4 < share.min()
    assert share.max() < 1 + 1e-4
    assert share.mean().item() == pytest.approx(0.5, abs=0.03)
    assert share.var().item() == pytest.approx(1 / 8, rel=0.05)  # of Beta(1/2, 1/2); a uniform share has 1/12


def test_the_field_has_the_size_of_its_temperature():
    # In the middle the variance is n^2 T sum 1/r^2 over odd i, j, about n^2 T pi / 4 ln(cut) at large cut.
    prime = PRIME(displacement_frequencies=15)
    cut, temperature = prime._cut_and_temperature(uniforms(SEEDS ^ 4, 3), 33 * 33)
    middle = prime._field(SEEDS, 33, 33)[:, :, 16, 16]
    odd = np.arange(1, 16, 2)
    r = np.hypot(odd[:, None], odd)
    sums = torch.tensor([float((1 / r[r < each + 0.5] ** 2).sum()) for each in cut.tolist()])
    ratio = middle / (33 * (temperature * sums).sqrt())[:, None]
    assert ratio.square().mean(0).tolist() == pytest.approx([1, 1], rel=0.08)
    assert (ratio[:, 0] * ratio[:, 1]).mean().item() == pytest.approx(0, abs=0.05)


def test_every_image_has_its_own_operation_and_only_that_is_computed(monkeypatch):
    seen = []
    for name in ("_filter", "_color", "_displace"):
        monkeypatch.setattr(PRIME, name, lambda self, x, seeds, name=name: seen.append((name, len(x))) or x + 0)
    draw(PRIME(width=1, depth=1), images(300))
    assert sum(count for _, count in seen) == 300
    assert {name: count for name, count in seen} == pytest.approx(
        dict.fromkeys(("_filter", "_color", "_displace"), 100), rel=0.3
    )


def test_equal_images_of_a_batch_are_changed_differently():
    x = images(1).expand(40, -1, -1, -1).contiguous()
    copies = draw(PRIME(), x)[0]
    assert len({tuple(each.flatten()[:50].tolist()) for each in copies}) == 40


@pytest.mark.parametrize("shape", [(1, 5, 40), (3, 1, 1), (3, 2, 2)], ids=str)
def test_images_of_any_size_are_changed(shape):
    x = torch.rand(20, *shape, generator=torch.Generator().manual_seed(0))
    copies = draw(PRIME(), x)[0]
    assert copies.shape == x.shape
    assert copies.isfinite().all()


@pytest.mark.parametrize("fields", [{"displacement_frequencies": 2}, {"filter_std": -1.0}, {"color_band": 0}])
def test_fields_are_checked(fields):
    with pytest.raises(InputError, match=next(iter(fields))):
        PRIME(**fields)
