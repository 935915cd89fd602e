import pytest
import torch
from torch.nn.functional import interpolate

from withstand.functional.kernels.cubic import resized_crop
from withstand.functional.random import integers, stream


@pytest.mark.parametrize("size", [(20, 33), (22, 37), (61, 45), (13, 21)])
def test_a_crop_is_that_of_the_whole_resized_image(size):
    levels = integers((3, 20, 33), 0, 256, rng=stream(0, "photo")).to(torch.uint8)
    whole = interpolate(levels[None].float(), size=size, mode="bicubic", align_corners=False)[0]
    for rows, columns in ((range(size[0]), range(size[1])), (range(3, 9), range(5, 6)), (range(9, 13), range(20))):
        crop = resized_crop(levels, size, rows, columns)
        assert crop.shape == (3, len(rows), len(columns))
        expected = whole[:, rows.start : rows.stop, columns.start : columns.stop].clamp(0, 255)
        assert (crop - expected).abs().max() < 0.51
