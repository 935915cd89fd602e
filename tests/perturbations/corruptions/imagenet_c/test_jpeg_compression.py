import torch

from withstand.functional.kernels.jpeg import jpeg
from withstand.functional.random import integers, stream
from withstand.perturbations.corruptions.imagenet_c.jpeg_compression import JpegCompression


def test_quality_is_the_published_one():
    levels = integers((2, 3, 32, 32), 0, 256, rng=stream(0, "x")).to(torch.uint8)
    changed = JpegCompression(severity=2).corrupt(levels.float() / 255, None)
    assert torch.equal((changed * 255).round().to(torch.uint8), jpeg(levels, quality=65))


def test_input_between_levels_is_cut_down_first():
    x = torch.full((1, 3, 32, 32), 100.9 / 255)
    lower = torch.full((1, 3, 32, 32), 100 / 255)
    corruption = JpegCompression()
    assert torch.equal(corruption.corrupt(x, None), corruption.corrupt(lower, None))
