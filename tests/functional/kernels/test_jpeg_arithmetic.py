import pytest
import torch
from torch.nn.functional import interpolate

from withstand.functional.kernels.jpeg import jpeg
from withstand.functional.kernels.jpeg_arithmetic import recompressed
from withstand.functional.random import integers, stream, uniform

# Sides that are whole blocks, odd, or so short that colour is enlarged otherwise.
SIZES = [(1, 1), (2, 3), (4, 5), (5, 4), (5, 6), (16, 16), (17, 23), (31, 40), (33, 18), (35, 35), (64, 48)]


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size", SIZES)
def test_it_gives_the_bits_of_libjpeg(size, channels):
    noise = integers((2, channels, *size), 0, 256, rng=stream(0, "noise")).to(torch.uint8)
    smooth = interpolate(uniform((2, channels, 3, 3), rng=stream(0, "smooth")) * 255, size=size, mode="bilinear")
    levels = torch.cat([noise, smooth.to(torch.uint8), torch.full_like(noise[:1], 255), torch.zeros_like(noise[:1])])
    for quality in (1, 7, 30, 49, 50, 65, 85, 95):
        assert torch.equal(recompressed(levels, quality=quality), jpeg(levels, quality=quality)), quality


@pytest.mark.parametrize("channels", [1, 3])
def test_no_image_is_fine(channels):
    levels = torch.zeros((0, channels, 8, 8), dtype=torch.uint8)
    assert recompressed(levels, quality=40).shape == levels.shape
