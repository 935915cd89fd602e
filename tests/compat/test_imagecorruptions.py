"""The drop-in module for imagecorruptions, called as public scripts call that package."""

from math import ceil

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.ndimage import gaussian_filter, map_coordinates
from torch.nn.functional import interpolate

from withstand.compat import differing, imagecorruptions
from withstand.compat.imagecorruptions import corrupt, corruption_dict, corruption_tuple, get_corruption_names

COARSE = np.random.default_rng(0).integers(0, 256, (6, 8, 3), dtype=np.uint8)
PHOTO = np.asarray(Image.fromarray(COARSE).resize((64, 48), Image.Resampling.BICUBIC))
NAMES = (
    "gaussian_noise shot_noise impulse_noise defocus_blur glass_blur motion_blur zoom_blur snow frost fog brightness "
    "contrast elastic_transform pixelate jpeg_compression speckle_noise gaussian_blur spatter saturate"
).split()
TEXTURES = [torch.randint(0, 256, (3, 30, 44), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)] * 5


@pytest.fixture(autouse=True)
def textures(monkeypatch):
    """Small textures, which need no files."""
    monkeypatch.setattr(differing, "read_frost_textures", lambda: TEXTURES)
    differing._textures.cache_clear()
    yield
    differing._textures.cache_clear()


def test_a_script_that_loops_over_names_and_severities():
    for corruption in get_corruption_names():
        for severity in range(5):
            corrupted = corrupt(PHOTO, corruption_name=corruption, severity=severity + 1)
            assert corrupted.shape == PHOTO.shape
            assert corrupted.dtype == np.uint8
            Image.fromarray(corrupted)


def test_a_script_that_loops_over_numbers():
    for number in range(19):
        corrupted = corrupt(PHOTO, corruption_number=number, severity=1)
        assert corrupted.shape == PHOTO.shape
        np.random.seed(5)
        by_number = corrupt(PHOTO, 2, None, number)
        np.random.seed(5)
        assert np.array_equal(by_number, corrupt(PHOTO, 2, NAMES[number]))


def test_the_pipeline_of_a_detector():
    results = {"img": np.ascontiguousarray(PHOTO[..., ::-1])}
    made = corrupt(results["img"].astype(np.uint8), corruption_name="snow", severity=3)
    assert made.flags.writeable
    made[:] = 0
    assert corrupt(results["img"][..., ::-1], 3, "fog").shape == PHOTO.shape  # a view with negative strides


def test_severity_is_1_unless_given():
    np.random.seed(3)
    default = corrupt(PHOTO, corruption_name="fog")
    np.random.seed(3)
    assert np.array_equal(default, corrupt(PHOTO, 1, "fog"))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("grey", [PHOTO[..., 0], PHOTO[..., :1]], ids=["(H, W)", "(H, W, 1)"])
def test_grey_images_are_stacked_to_colour(name, grey):
    np.random.seed(1)
    made = corrupt(grey, 2, name)
    np.random.seed(1)
    assert np.array_equal(made, corrupt(np.dstack([grey] * 3), 2, name))


def test_subsets():
    assert get_corruption_names("common") == get_corruption_names() == NAMES[:15]
    assert get_corruption_names("validation") == NAMES[15:]
    assert get_corruption_names("all") == NAMES
    parts = [get_corruption_names(subset=each) for each in ("noise", "blur", "weather", "digital")]
    assert [len(each) for each in parts] == [3, 4, 4, 4]
    assert [name for part in parts for name in part] == NAMES[:15]
    with pytest.raises(ValueError, match="subset"):
        get_corruption_names("everything")


def test_numpys_seed_decides_and_calls_differ():
    np.random.seed(7)
    first, second = corrupt(PHOTO, 3, "gaussian_noise"), corrupt(PHOTO, 3, "gaussian_noise")
    np.random.seed(7)
    assert np.array_equal(corrupt(PHOTO, 3, "gaussian_noise"), first)
    assert not np.array_equal(first, second)


@pytest.mark.parametrize(
    ("error", "arguments"),
    [
        (AttributeError, ([[1, 2], [3, 4]], 1, "fog")),
        (AttributeError, (Image.fromarray(PHOTO), 1, "fog")),
        (AttributeError, (PHOTO.astype(np.float32), 1, "fog")),
        (AttributeError, (PHOTO[None], 1, "fog")),
        (AttributeError, (PHOTO[:31], 1, "fog")),
        (AttributeError, (PHOTO[:, :31], 1, "fog")),
        (AttributeError, (np.zeros((40, 40, 4), np.uint8), 1, "fog")),
        (AttributeError, (PHOTO, 0, "fog")),
        (AttributeError, (PHOTO, 6, "fog")),
        (ValueError, (PHOTO, 1)),
        (KeyError, (PHOTO, 1, "fgo")),
        (KeyError, (PHOTO, 1, ["fog"])),
        (IndexError, (PHOTO, 1, None, 19)),
    ],
)
def test_errors_are_of_the_types_of_the_package(error, arguments):
    with pytest.raises(error):
        corrupt(*arguments)


def test_functions_are_there_by_name():
    assert [each.__name__ for each in corruption_tuple] == list(corruption_dict) == NAMES
    for name in NAMES:
        assert getattr(imagecorruptions, name) is corruption_dict[name]
    np.random.seed(2)
    made = np.uint8(imagecorruptions.motion_blur(Image.fromarray(PHOTO), 4))
    np.random.seed(2)
    assert np.array_equal(made, corrupt(PHOTO, 4, "motion_blur"))


@pytest.mark.parametrize("severity", [1, 3, 5])
def test_elastic_transform_is_that_of_scipy(severity, monkeypatch):
    height, width = PHOTO.shape[:2]
    numbers = np.random.default_rng(0).random((2, height, width))
    strength = 250 * (0.05, 0.065, 0.085, 0.1, 0.12)[severity - 1]
    dx, dy = (
        gaussian_filter((2 * each - 1) * 0.005 * height, (0.01 * height, 0.01 * width), mode="reflect", truncate=3)
        for each in numbers
    )
    rows, columns = np.mgrid[:height, :width].astype(float)
    places = rows + strength * dy, columns + strength * dx
    channels = [map_coordinates(PHOTO[..., each] / 255, places, order=1, mode="reflect") for each in range(3)]
    monkeypatch.setattr(differing, "uniform", lambda *_, **__: torch.from_numpy(numbers)[None].float())
    made = corrupt(PHOTO, severity, "elastic_transform")
    assert np.abs(made - np.stack(channels, axis=-1) * 255 + 0.5).max() <= 0.51


@pytest.mark.parametrize("severity", [1, 3, 5])
def test_frost_is_a_crop_of_the_texture_enlarged_to_cover_the_image(severity, monkeypatch):
    height, width = PHOTO.shape[:2]
    clearness, amount = ((1, 0.4), (0.8, 0.6), (0.7, 0.7), (0.65, 0.7), (0.6, 0.75))[severity - 1]
    factor = 1.1 * max(height / 30, width / 44)
    size = ceil(30 * factor), ceil(44 * factor)
    whole = interpolate(TEXTURES[0][None].float(), size=size, mode="bicubic", align_corners=False)[0].clamp(0, 255)
    top, left = 2, 3
    crop = whole[:, top : top + height, left : left + width].permute(1, 2, 0).numpy()
    expected = np.clip(clearness * PHOTO + amount * crop, 0, 255)
    numbers = torch.tensor([[0.3, (top + 0.5) / (size[0] - height), (left + 0.5) / (size[1] - width)]])
    monkeypatch.setattr(differing, "uniform", lambda *_, **__: numbers)
    made = corrupt(PHOTO, severity, "frost")
    assert np.abs(made - expected + 0.5).max() <= 0.51 + 0.5 * amount


@pytest.mark.parametrize("size", [(48, 64), (33, 500), (37, 41)])
def test_pixelate_is_that_of_pillow(size):
    image = Image.fromarray(PHOTO).resize(size[::-1])
    small = image.resize((int(size[1] * 0.4), int(size[0] * 0.4)), Image.Resampling.BOX)
    expected = np.asarray(small.resize(image.size, Image.Resampling.NEAREST))
    assert np.array_equal(corrupt(np.asarray(image), 3, "pixelate"), expected)
