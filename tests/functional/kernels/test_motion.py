import math

import pytest
import torch

from withstand.functional.kernels.motion import _gathered, motion_blur
from withstand.functional.random import integers, stream

ANGLES = torch.tensor([-45.0, 0, 20.1, 44.9, -90, -134.7, 180])


def photos(*shape):
    return integers(shape, 0, 256, rng=stream(0, "photos")).float() / 255


def by_definition(image, angle, radius, std):
    weights = [math.exp(-0.5 * (i / std) ** 2) for i in range(2 * radius + 1)]
    height, width = image.shape[-2:]
    total = torch.zeros_like(image, dtype=torch.float64)
    for i, weight in enumerate(weights):
        down, right = (math.ceil(i * part(math.radians(angle)) - 0.5) for part in (math.sin, math.cos))
        rows = (torch.arange(height) + down).clamp(0, height - 1)
        columns = (torch.arange(width) + right).clamp(0, width - 1)
        total += weight / sum(weights) * image[:, rows][:, :, columns]
    return total


@pytest.mark.parametrize(("radius", "std"), [(10, 3), (20, 15), (6, 1), (0, 1)])
@pytest.mark.parametrize("shape", [(3, 224, 150), (1, 32, 32), (3, 8, 5), (1, 1, 1)])
def test_every_angle_and_size_agrees_with_the_definition(shape, radius, std):
    x = photos(len(ANGLES), *shape)
    blurred = motion_blur(x, ANGLES, radius=radius, std=std)
    assert blurred.dtype == torch.float32
    for image, angle, ours in zip(x, ANGLES.tolist(), blurred, strict=True):
        expected = by_definition(image, angle, radius, std)
        assert torch.allclose(ours.double(), expected, rtol=0, atol=0.6 / 65535)


@pytest.mark.parametrize(("angle", "places"), [(0, [(4, 3), (4, 2)]), (45, [(3, 3)]), (-90, [(5, 4), (6, 4)])])
def test_a_bright_pixel_is_smeared_against_the_direction(angle, places):
    x = torch.zeros(1, 1, 9, 9)
    x[..., 4, 4] = 1
    blurred = motion_blur(x, torch.tensor([float(angle)]), radius=1, std=2.0)[0, 0]
    lit = [tuple(place) for place in blurred.nonzero().tolist()]
    assert sorted(lit) == sorted([(4, 4), *places])
    assert blurred.sum().item() == pytest.approx(1, abs=3 / 65535)


def test_a_constant_image_stays():
    x = torch.full((len(ANGLES), 3, 20, 30), 77 / 255)
    assert torch.equal(motion_blur(x, ANGLES, radius=10, std=3), x)


def test_one_by_one_and_all_at_once_agree():
    x = photos(2, 3, 24, 17)
    down, right = torch.tensor([[0, 1, 1, -30], [0, -1, -2, 2]]), torch.tensor([[0, 0, 1, 4], [0, 0, -1, 40]])
    weights = [0.4, 0.3, 0.2, 0.1]
    rows, columns = torch.arange(24), torch.arange(17)
    for image, ours, downs, rights in zip(x, _gathered(x, down, right, weights), down, right, strict=True):
        parts = [
            weight * image[:, (rows + y).clamp(0, 23)][:, :, (columns + z).clamp(0, 16)]
            for y, z, weight in zip(downs, rights, weights, strict=True)
        ]
        assert torch.allclose(ours, sum(parts), atol=1e-6)


@pytest.mark.parametrize("shape", [(3, 224, 224), (1, 224, 224), (3, 32, 37)])
def test_an_image_does_not_depend_on_the_others_nor_on_how_it_lies_in_memory(shape):
    x = photos(len(ANGLES), *shape)
    together = motion_blur(x, ANGLES, radius=10, std=3)
    for row in range(len(x)):
        alone = x[row : row + 1].contiguous(memory_format=torch.channels_last)
        assert torch.equal(motion_blur(alone, ANGLES[row : row + 1], radius=10, std=3)[0], together[row])


def test_no_image_is_fine():
    assert motion_blur(photos(0, 3, 8, 8), torch.zeros(0), radius=3, std=2).shape == (0, 3, 8, 8)
