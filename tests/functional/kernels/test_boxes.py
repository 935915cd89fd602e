import numpy as np
import pytest
import torch
from PIL import Image

from withstand.functional.kernels.boxes import grow, shrink
from withstand.functional.random import integers, stream

SIZES = [
    (224, 134),
    (224, 112),
    (299, 59),
    (64, 57),
    (64, 51),
    (64, 44),
    (32, 30),
    (32, 27),
    (97, 31),
    (5, 1),
    (7, 7),
]


def photo(height, width):
    return integers((height, width), 0, 256, rng=stream(0, "photo", height, width)).float()


def pillow(levels, height, width):
    image = Image.fromarray(levels.numpy().astype(np.uint8)).resize((width, height), Image.Resampling.BOX)
    return torch.from_numpy(np.asarray(image).astype(np.float32))


@pytest.mark.parametrize(("old", "new"), SIZES)
def test_shrinking_gives_every_pixel_of_pillow(old, new):
    levels = photo(old, old)
    assert torch.equal(shrink(levels, new, new), pillow(levels, new, new))


@pytest.mark.parametrize(("old", "new"), SIZES)
def test_growing_gives_every_pixel_of_pillow(old, new):
    levels = photo(new, new)
    assert torch.equal(grow(levels, old, old), pillow(levels, old, old))


def test_every_size_up_to_forty_shrinks_as_pillow_does():
    # Wherever a pixel's centre lies on the border of two boxes, rounding decides: (13, 6) and (17, 10) are such.
    for old in range(1, 41):
        for new in range(1, old + 1):
            levels = photo(2, old)
            assert torch.equal(shrink(levels, 2, new), pillow(levels, 2, new)), (old, new)


@pytest.mark.parametrize("pixels", [2, 3, 5, 6, 14, 48, 63, 64])
def test_every_sum_is_rounded_as_in_whole_numbers(pixels):
    total = torch.arange(255 * pixels + 1)[:, None, None]
    levels = (total // pixels + (torch.arange(pixels)[:, None] < total % pixels)).float()
    weight = int(2**22 / pixels + 0.5)
    assert torch.equal(shrink(levels, 1, 1), ((total * weight + 2**21) >> 22).float())


def test_sides_need_not_be_equal():
    levels = photo(50, 30)
    assert torch.equal(shrink(levels, 21, 19), pillow(pillow(levels, 50, 19), 21, 19))
    assert (shrink(levels, 21, 19) - pillow(levels, 21, 19)).abs().max() <= 1
    assert torch.equal(grow(levels, 77, 41), pillow(levels, 77, 41))
