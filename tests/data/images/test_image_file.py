import io

import numpy as np
import pytest
import torch
from PIL import Image

from withstand.data.images.decoding import TURNS, Decoding
from withstand.data.images.image_file import _choose_box, explain, read_image


def picture(width, height, mode="RGB", seed=0):
    """A smooth picture with some noise."""
    rng = np.random.default_rng(seed)
    small = Image.fromarray(rng.integers(0, 256, (5, 7, 3), dtype=np.uint8))
    return small.resize((width, height), Image.Resampling.BICUBIC).convert(mode)


def write(path, image, **options):
    image.save(path, **options)
    return path


SIZES = [
    (500, 375),
    (375, 500),
    (300, 301),
    (256, 256),
    (257, 256),
    (100, 60),
    (1000, 256),
    (333, 777),
    (31, 224),
]


@pytest.mark.parametrize("size", SIZES)
def test_evaluation_pixels_are_those_of_torchvision(tmp_path, size):
    try:
        from torchvision.transforms import CenterCrop, Compose, Resize
    except (ImportError, RuntimeError) as error:
        pytest.skip(f"torchvision cannot be imported: {error}")
    path = write(tmp_path / "image.png", picture(*size))
    with Image.open(path) as image:
        expected = Compose([Resize(256), CenterCrop(224)])(image.convert("RGB"))
    ours = read_image(path, pixels=224, resize=256)
    assert np.array_equal(ours, np.asarray(expected).transpose(2, 0, 1))


def test_evaluation_pixels_of_photographs_are_those_of_torchvision(data_root):
    try:
        from torchvision.transforms import CenterCrop, Compose, Resize
    except (ImportError, RuntimeError) as error:
        pytest.skip(f"torchvision cannot be imported: {error}")
    transform = Compose([Resize(256), CenterCrop(224)])
    paths = sorted((data_root / "imagenet-sample").rglob("*.JPEG"))[::10]
    assert len(paths) == 20
    for path in paths:
        with Image.open(path) as image:
            expected = transform(image.convert("RGB"))
        assert np.array_equal(read_image(path, pixels=224, resize=256), np.asarray(expected).transpose(2, 0, 1))


def test_without_resizing_the_centre_is_cut_out(tmp_path):
    image = picture(11, 9)
    path = write(tmp_path / "image.png", image)
    middle = np.asarray(image).transpose(2, 0, 1)[:, 2:7, 3:8]
    assert np.array_equal(read_image(path, pixels=5, resize=None), middle)
    with pytest.raises(OSError, match="it has 11 x 9 pixels, expected at least 10 x 10"):
        read_image(path, pixels=10, resize=None)


@pytest.mark.parametrize(("mode", "end"), [("L", "jpg"), ("CMYK", "jpg"), ("1", "png"), ("P", "png"), ("RGBA", "png")])
def test_other_modes_become_three_channels(tmp_path, mode, end):
    path = write(tmp_path / f"image.{end}", picture(40, 30, mode))
    for generator in (None, torch.Generator()):
        x = read_image(path, pixels=16, resize=20, generator=generator)
        assert x.shape == (3, 16, 16)
        assert x.dtype == np.uint8
    if mode in "L1":
        assert np.array_equal(x[0], x[1])


@pytest.mark.parametrize("tag", range(1, 9))
@pytest.mark.parametrize("generator", [None, 3])
def test_a_turned_image_is_cropped_like_the_upright_one(tmp_path, tag, generator):
    upright = picture(90, 60)
    stored = upright.transpose(TURNS[tag][1]) if tag > 1 else upright
    exif = Image.Exif()
    exif[0x0112] = tag
    options = {"pixels": 32, "resize": 40, "decoding": Decoding()}
    pixels = []
    for path in (write(tmp_path / "a.png", upright), write(tmp_path / "b.png", stored, exif=exif)):
        source = None if generator is None else torch.Generator().manual_seed(generator)
        pixels.append(read_image(path, **options, generator=source))
    assert np.array_equal(*pixels)


def test_the_decoder_downscales_a_turned_image_by_its_own_sides(tmp_path):
    upright = picture(1600, 400)
    exif = Image.Exif()
    exif[0x0112] = 6
    upright.save(tmp_path / "upright.jpg", quality=95)
    upright.transpose(TURNS[6][1]).save(tmp_path / "stored.jpg", quality=95, exif=exif)
    for seed in range(4):
        one, other = (
            read_image(
                tmp_path / name,
                pixels=64,
                resize=64,
                decoding=Decoding(),
                generator=torch.Generator().manual_seed(seed),
            ).astype(int)
            for name in ("upright.jpg", "stored.jpg")
        )
        assert np.abs(one - other).mean() < 1.5


def test_a_random_crop_is_the_same_for_the_same_generator(tmp_path):
    path = write(tmp_path / "image.jpg", picture(90, 70))
    crops = [read_image(path, pixels=32, resize=40, generator=torch.Generator().manual_seed(k)) for k in (0, 0, 1)]
    assert np.array_equal(crops[0], crops[1])
    assert not np.array_equal(crops[0], crops[2])


def test_reduction_by_the_decoder_hardly_changes_a_crop(tmp_path):
    image = picture(1600, 1200)
    jpeg = io.BytesIO()
    image.save(jpeg, "JPEG", quality=95)
    (tmp_path / "image.jpg").write_bytes(jpeg.getvalue())
    Image.open(jpeg).save(tmp_path / "image.png")  # the same pixels, in a format that is always decoded in full
    for seed in range(4):
        fast, full = (
            read_image(tmp_path / name, pixels=64, resize=64, generator=torch.Generator().manual_seed(seed)).astype(int)
            for name in ("image.jpg", "image.png")
        )
        assert np.abs(fast - full).mean() < 1
        assert np.abs(fast - full).max() < 12


def test_random_boxes_lie_in_the_image_and_have_the_declared_areas_and_ratios():
    generator = torch.Generator().manual_seed(0)
    shares = []
    for _ in range(2000):
        numbers = torch.rand(23, generator=generator, dtype=torch.float64).tolist()
        left, top, width, height = _choose_box(400, 300, numbers)
        assert left >= 0
        assert top >= 0
        assert left + width <= 400
        assert top + height <= 300
        assert 0.74 < width / height < 1.35
        shares.append(width * height / 120_000)
    assert 0.079 < min(shares) < 0.1
    assert 0.9 < max(shares) <= 1


def test_of_a_strip_the_fall_back_takes_the_middle():
    assert _choose_box(1000, 30, [0.99] * 23) == (480, 0, 40, 30)
    assert _choose_box(30, 1000, [0.99] * 23) == (0, 480, 30, 40)
    assert _choose_box(1, 1, [0.5] * 23) == (0, 0, 1, 1)


def test_reasons_are_plain(tmp_path):
    def reason(path):
        with pytest.raises(Exception) as caught:  # noqa: PT011
            read_image(path, pixels=8, resize=8)
        return explain(path, caught.value)

    path = tmp_path / "image.jpg"
    assert reason(path) == "there is no such file"
    path.write_bytes(b"")
    assert reason(path) == "it is empty"
    path.write_bytes(b"hello")
    assert reason(path) == "it is not an image"
    write(path, picture(100, 80))
    path.write_bytes(path.read_bytes()[:-300])
    assert "truncated" in reason(path)
    png = write(tmp_path / "image.png", picture(100, 80))
    content = bytearray(png.read_bytes())
    content[len(content) // 2] ^= 255
    png.write_bytes(content[: len(content) * 3 // 4])
    assert reason(png)
