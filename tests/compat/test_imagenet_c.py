"""The drop-in module for imagenet_c, called as public scripts call that package."""

import numpy as np
import pytest
from PIL import Image

import withstand as ws
from withstand.compat import imagenet_c
from withstand.compat.imagenet_c import corrupt, corruption_dict, corruption_tuple
from withstand.perturbations.corruptions.imagenet_c import frost

COARSE = np.random.default_rng(0).integers(0, 256, (6, 8, 3), dtype=np.uint8)
PHOTO = np.asarray(Image.fromarray(COARSE).resize((224, 224), Image.Resampling.BICUBIC))


@pytest.fixture(autouse=True)
def textures(monkeypatch):
    """Generated textures, which need no files."""
    made = frost._read_or_make("procedural")
    monkeypatch.setattr(frost, "_read_or_make", lambda _: made)
    frost._stack.cache_clear()
    yield
    frost._stack.cache_clear()


def test_a_script_calls_it_by_name_by_number_and_by_place():
    assert list(corruption_dict) == [each.__name__ for each in corruption_tuple] == ws.corruption_names("all")
    for number, name in enumerate(corruption_dict.keys()):
        made = []
        for arguments in ({"corruption_name": name, "severity": 2}, {"corruption_number": number, "severity": 2}):
            np.random.seed(number)
            made.append(corrupt(PHOTO, **arguments))
        np.random.seed(number)
        made.append(corrupt(PHOTO, 2, name, -1))
        assert made[0].shape == PHOTO.shape
        assert made[0].dtype == np.uint8
        assert np.array_equal(made[0], made[1])
        assert np.array_equal(made[0], made[2])


def test_functions_take_pictures_and_the_parameters_are_those_for_224_pixels():
    small = Image.fromarray(PHOTO).resize((40, 32))
    made = np.uint8(imagenet_c.contrast(small, severity=5))
    assert np.array_equal(made, ws.corrupt(np.asarray(small), "contrast", 5, pixels=224))
    assert np.array_equal(np.uint8(corruption_dict["contrast"](small, 5)), made)


def test_grey_images_stay_grey():
    assert corrupt(PHOTO[..., 0], 3, "fog").shape == (224, 224)


def test_elastic_transform_has_an_affine_part_here():
    np.random.seed(0)
    made = corrupt(PHOTO, 5, "elastic_transform")
    np.random.seed(0)
    from withstand.compat import imagecorruptions

    assert not np.array_equal(made, imagecorruptions.corrupt(PHOTO, 5, "elastic_transform"))


@pytest.mark.parametrize(
    ("error", "arguments"),
    [
        (ValueError, (PHOTO,)),
        (ValueError, (PHOTO, 0, "fog")),
        (KeyError, (PHOTO, 1, "fgo")),
        (KeyError, (PHOTO, 1, ["fog"])),
        (ValueError, (PHOTO / 1, 1, "fog")),
    ],
)
def test_errors(error, arguments):
    with pytest.raises(error):
        corrupt(*arguments)
