import io

import numpy as np
import pytest
from PIL import Image

from withstand.copies.encoding import encode
from withstand.data.images.decoding import TURNS, Decoding

LEVELS = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".ppm", ".tif", ".tiff", ".webp"])
def test_all_formats_but_jpeg_are_lossless(suffix):
    with Image.open(io.BytesIO(encode(LEVELS, suffix))) as image:
        assert np.array_equal(np.asarray(image.convert("RGB")), LEVELS)


@pytest.mark.parametrize("suffix", [".jpg", ".jpeg", ".jfif"])
def test_jpeg_files_have_quality_85_and_colour_at_half_resolution(suffix):
    buffer = io.BytesIO()
    Image.fromarray(LEVELS).save(buffer, "JPEG", quality=85, subsampling="4:2:0")
    with Image.open(buffer) as expected, Image.open(io.BytesIO(encode(LEVELS, suffix))) as found:
        assert found.quantization == expected.quantization
        assert np.array_equal(np.asarray(found), np.asarray(expected))


def test_grey_images_and_grey_formats_have_one_channel():
    for suffix, levels in ((".png", LEVELS[..., :1]), (".pgm", LEVELS)):
        with Image.open(io.BytesIO(encode(levels, suffix))) as image:
            assert (image.mode, image.size) == ("L", (30, 20))


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".tif", ".webp"])
@pytest.mark.parametrize("tag", range(2, 9))
def test_upright_images_are_turned_back_and_keep_their_tag(suffix, tag):
    upright = np.full((48, 32, 3), 60, dtype=np.uint8)
    upright[:16], upright[16:32, :16] = 250, 150
    content = encode(upright, suffix, tag=tag, is_turned=True)
    for orientation, turn in (("apply", None), ("ignore", TURNS[tag][1])):
        with Image.open(io.BytesIO(content)) as image:
            found = np.asarray(Decoding(orientation=orientation).to_rgb(image)).astype(int)
        expected = np.asarray(Image.fromarray(upright).transpose(turn) if turn is not None else upright)
        assert found.shape == expected.shape
        assert np.abs(found - expected).max() < 20
    plain = encode(upright, suffix, tag=tag, is_turned=False)
    with Image.open(io.BytesIO(plain)) as image:
        found = np.asarray(Decoding(orientation="ignore").to_rgb(image)).astype(int)
    assert found.shape == upright.shape
    assert np.abs(found - upright).max() < 20
