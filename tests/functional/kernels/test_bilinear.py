import pytest
import torch

from withstand.functional.kernels.bilinear import resize
from withstand.functional.random import integers, stream


def photo(height, width):
    return integers((1, height, width), 0, 256, rng=stream(0, "photo", height, width)).to(torch.uint8)


def test_the_same_size_is_the_same_image():
    levels = photo(31, 17)
    assert torch.equal(resize(levels, 1.0), levels)


@pytest.mark.parametrize("factor", [0.2, 0.3, 1.7, 3.0])
def test_new_pixels_lie_between_the_four_around_them(factor):
    levels = photo(40, 50)
    height, width = round(40 * factor), round(50 * factor)
    down, across = ((torch.arange(new) + 0.5) / factor - 0.5 for new in (height, width))
    down, across = down.clamp(0, 39), across.clamp(0, 49)
    top, left = down.long().clamp(max=38), across.long().clamp(max=48)
    low, right = (down - top)[:, None], across - left
    values = levels[0].float()
    upper, lower = (values[rows][:, left] * (1 - right) + values[rows][:, left + 1] * right for rows in (top, top + 1))
    assert resize(levels, factor).shape == (1, height, width)
    assert (resize(levels, factor)[0] - (upper * (1 - low) + lower * low)).abs().max() < 1


def test_every_fifth_pixel_is_taken_exactly():
    levels = photo(40, 50)
    assert torch.equal(resize(levels, 0.2), levels[:, 2::5, 2::5])


def test_new_sides_are_rounded_to_even_numbers_half_way():
    assert resize(photo(315, 15), 0.3).shape == (1, 94, 4)


def test_one_pixel_can_become_many():
    assert torch.equal(resize(torch.full((3, 1, 1), 9, dtype=torch.uint8), 4.0), torch.full((3, 4, 4), 9))
