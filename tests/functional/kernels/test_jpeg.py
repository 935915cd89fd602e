from io import BytesIO

import numpy as np
import pytest
import torch
from PIL import Image

from withstand.functional.kernels.jpeg import jpeg
from withstand.functional.random import integers, stream


def photos(*shape):
    return integers(shape, 0, 256, rng=stream(0, "photos")).to(torch.uint8)


@pytest.mark.parametrize("channels", [1, 3])
def test_a_batch_is_its_images_one_by_one(channels):
    levels = photos(5, channels, 17, 24)
    alone = torch.cat([jpeg(each[None], quality=30) for each in levels])
    assert torch.equal(jpeg(levels, quality=30), alone)


def test_colour_is_kept_at_half_the_resolution():
    levels = photos(1, 3, 16, 16)
    file = BytesIO()
    array = levels[0].permute(1, 2, 0).numpy()
    Image.fromarray(array).save(file, "JPEG", quality=40, subsampling=2)
    expected = torch.from_numpy(np.array(Image.open(file))).permute(2, 0, 1)[None]
    assert torch.equal(jpeg(levels, quality=40), expected)


def test_one_channel_stays_one_channel():
    levels = photos(2, 1, 16, 16)
    assert jpeg(levels, quality=95).shape == levels.shape


def test_no_image_is_fine():
    assert jpeg(photos(0, 3, 8, 8), quality=40).shape == (0, 3, 8, 8)
