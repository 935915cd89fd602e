import numpy as np
import pytest
import torch

from withstand.functional.kernels.plasma import plasma
from withstand.functional.random import stream, uniform


def uniforms(batch, side):
    return uniform((batch, side**2 - 1), rng=stream(0, "u"))


def one_by_one(u, side, decay):
    numbers, values, noise, step = iter(u.tolist()), np.zeros((side, side)), 100.0, side

    def displaced(*places):
        return sum(values[row % side, column % side] for row, column in places) / 4 + noise**2 * (2 * next(numbers) - 1)

    while step > 1:
        half = step // 2
        for row in range(half, side, step):
            for column in range(half, side, step):
                corners = [(row + down, column + across) for down in (-half, half) for across in (-half, half)]
                values[row, column] = displaced(*corners)
        for start, first in ((0, half), (half, 0)):
            for row in range(start, side, step):
                for column in range(first, side, step):
                    around = [(row - half, column), (row + half, column), (row, column - half), (row, column + half)]
                    values[row, column] = displaced(*around)
        noise, step = noise / decay, half
    return (values - values.min()) / (values.max() - values.min())


@pytest.mark.parametrize(("side", "decay"), [(2, 2.0), (4, 3.0), (32, 1.75), (32, 1.4)])
def test_every_value_is_the_mean_of_four_plus_noise(side, decay):
    u = uniforms(2, side)
    expected = torch.stack([torch.from_numpy(one_by_one(each, side, decay)) for each in u])
    assert torch.allclose(plasma(u, decay=decay).double(), expected, atol=1e-5)


def test_values_go_from_zero_to_one_in_every_map():
    maps = plasma(uniforms(5, 64), decay=2.0)
    assert maps.shape == (5, 64, 64)
    assert torch.equal(maps.amin((1, 2)), torch.zeros(5))
    assert torch.equal(maps.amax((1, 2)), torch.ones(5))


def test_slower_decay_is_rougher():
    u = uniforms(5, 64)
    rough, smooth = (plasma(u, decay=decay).diff().abs().mean() for decay in (1.4, 3.0))
    assert rough > 2 * smooth


def test_opposite_sides_fit():
    maps = plasma(uniforms(20, 64), decay=3.0)
    seam = (maps[:, :, 0] - maps[:, :, -1]).abs().mean()
    assert seam < 1.5 * maps.diff(dim=-1).abs().mean()
