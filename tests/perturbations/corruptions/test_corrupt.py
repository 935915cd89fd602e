"""One call that corrupts an image of any kind."""

import numpy as np
import pytest
import torch
from PIL import Image

import withstand as ws
from withstand.errors import InputError

COARSE = np.random.default_rng(0).integers(0, 256, (6, 8, 3), dtype=np.uint8)
PHOTO = np.asarray(Image.fromarray(COARSE).resize((48, 40), Image.Resampling.BICUBIC))
RGBA = np.dstack([PHOTO, np.arange(40 * 48, dtype=np.uint8).reshape(40, 48)])
ORDER = (
    "gaussian_noise shot_noise impulse_noise defocus_blur glass_blur motion_blur zoom_blur snow frost fog brightness "
    "contrast elastic_transform pixelate jpeg_compression speckle_noise gaussian_blur spatter saturate"
).split()
CORRUPTIONS = ["frost-procedural" if name == "frost" else name for name in ws.corruption_names("all")]

KINDS = {
    "grey": PHOTO[..., 0],
    "grey with an axis of channels": PHOTO[..., :1],
    "colour": PHOTO,
    "alpha": RGBA,
    "flipped": PHOTO[:, ::-1, ::-1],
    "batch": np.stack([PHOTO, PHOTO[::-1]]),
    "float32": PHOTO.astype(np.float32) / 255,
    "float64": PHOTO / 255,
    "float16": (PHOTO / 255).astype(np.float16),
    "L": Image.fromarray(PHOTO[..., 0]),
    "LA": Image.fromarray(RGBA).convert("LA"),
    "RGB": Image.fromarray(PHOTO),
    "RGBA": Image.fromarray(RGBA),
    "tensor": torch.from_numpy(PHOTO.transpose(2, 0, 1).copy()),
    "tensors": torch.rand((2, 2, 1, 33, 64), generator=torch.Generator().manual_seed(0), dtype=torch.float64),
    "tensor with alpha": torch.from_numpy(RGBA.transpose(2, 0, 1).copy()),
}


def as_array(image) -> np.ndarray:
    return np.asarray(image)


@pytest.mark.parametrize("kind", KINDS)
def test_the_kind_stays_and_the_image_changes(kind):
    image = KINDS[kind]
    before = as_array(image).copy()
    made = ws.corrupt(image, "gaussian_noise", seed=0)
    assert type(made) is type(image)
    assert as_array(made).shape == before.shape
    assert as_array(made).dtype == before.dtype
    assert not isinstance(image, Image.Image) or made.mode == image.mode
    assert np.array_equal(as_array(image), before), "the input was changed"
    assert (as_array(made) != before).mean() > 0.3
    assert np.array_equal(as_array(ws.corrupt(image, "gaussian_noise", seed=0)), as_array(made))
    assert not np.array_equal(as_array(ws.corrupt(image, "gaussian_noise", seed=1)), as_array(made))


@pytest.mark.parametrize("corruption", CORRUPTIONS)
def test_all_kinds_of_one_image_become_the_same_image(corruption):
    made = ws.corrupt(PHOTO, corruption, seed=3)
    assert np.array_equal(as_array(ws.corrupt(Image.fromarray(PHOTO), corruption, seed=3)), made)
    assert np.array_equal(ws.corrupt(RGBA, corruption, seed=3), np.dstack([made, RGBA[..., 3]]))
    planes = torch.from_numpy(PHOTO.transpose(2, 0, 1).copy())
    assert np.array_equal(ws.corrupt(planes, corruption, seed=3).permute(1, 2, 0).numpy(), made)
    floats = ws.corrupt(PHOTO / np.float32(255), corruption, seed=3)
    assert np.array_equal((floats * 255).round(), made)


@pytest.mark.parametrize("corruption", ["fog", "glass_blur", "frost-procedural", "spatter"])
def test_an_image_of_a_batch_has_the_draw_of_its_place(corruption):
    batch = ws.corrupt(np.stack([PHOTO, PHOTO]), corruption, seed=0)
    assert np.array_equal(batch[0], ws.corrupt(PHOTO, corruption, seed=0))
    assert not np.array_equal(batch[0], batch[1])


@pytest.mark.parametrize("corruption", CORRUPTIONS)
def test_small_and_narrow_images_are_corrupted(corruption):
    for height, width in ((32, 100), (8, 8), (1, 40), (1, 1)):
        for severity in (1, 5):
            image = PHOTO[:height].repeat(3, axis=1)[:, :width]
            assert ws.corrupt(image, corruption, severity, seed=0, pixels=224).shape == (height, width, 3)


def test_parameters_are_those_of_the_size_nearest_to_the_shorter_side():
    image = np.resize(PHOTO, (60, 300, 3))
    near, other = (ws.corrupt(image, "pixelate", seed=0, pixels=pixels) for pixels in (64, 224))
    assert np.array_equal(ws.corrupt(image, "pixelate", seed=0), near)
    assert not np.array_equal(near, other)


def test_without_a_seed_pytorchs_global_seed_decides():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        first, second = (ws.corrupt(PHOTO, "gaussian_noise") for _ in range(2))
        torch.manual_seed(1)
        again = ws.corrupt(PHOTO, "gaussian_noise")
    assert np.array_equal(first, again)
    assert not np.array_equal(first, second)


@pytest.mark.parametrize(
    ("image", "words"),
    [
        (PHOTO.transpose(2, 0, 1), r"got shape \(3, 40, 48\); move the channels with numpy.moveaxis"),
        (PHOTO.transpose(2, 0, 1)[None], r"got shape \(1, 3, 40, 48\); move the channels"),
        (np.zeros((10, 40, 48), np.uint8), r"got shape \(10, 40, 48\)"),
        (PHOTO.astype(np.int64), "got int64"),
        (PHOTO.astype(np.float32), r"in \[0, 1\], got values from .*; convert whole levels to uint8"),
        (PHOTO / 255 - 0.5, r"in \[0, 1\], got values from -0.5"),
        (np.full((32, 32, 3), np.nan), "got values from nan"),
        (PHOTO[:0], r"at least one pixel, got an image of shape \(0, 48, 3\)"),
        (torch.from_numpy(PHOTO.copy()), r"got a tensor of shape \(40, 48, 3\); move the channels with image.movedim"),
        (torch.zeros(40, 48), r"got a tensor of shape \(40, 48\)"),
        (torch.zeros(3, 40, 48, dtype=torch.int64), "got torch.int64"),
        (Image.new("P", (40, 40)), r"got mode P; use image.convert\(\"RGB\"\)"),
        (Image.new("1", (40, 40)), r"got mode 1; use image.convert"),
        (Image.new("I;16", (40, 40)), "got mode I;16; scale it to 8 bits"),
        ("photo.jpg", "got str; open it with PIL.Image.open"),
        ([PHOTO], "got list"),
    ],
)
def test_what_is_no_image_or_ambiguous_is_refused_in_one_sentence(image, words):
    with pytest.raises(InputError, match=rf"^corrupt: expected .*{words}") as caught:
        ws.corrupt(image, "fog", seed=0)
    assert str(caught.value).endswith(".")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"corruption": "fgo"}, "^corrupt: corruption must be a name .* got fgo; did you mean fog"),
        ({"severity": 6}, "^corrupt: severity must be from 1 to 5, got 6"),
        ({"seed": -1}, "^corrupt: seed must be at least 0"),
        ({"pixels": 100}, "^corrupt: pixels must be 224, 299, 64 or 32, got 100"),
    ],
)
def test_invalid_arguments_are_refused(arguments, words):
    with pytest.raises(InputError, match=words):
        ws.corrupt(PHOTO, **{"corruption": "fog"} | arguments)


def test_subsets_of_names_are_in_the_published_order():
    assert ws.corruption_names("all") == ORDER
    assert ws.corruption_names() == ORDER[:15]
    assert ws.corruption_names("imagenet-c-bar")[0] == "caustic_refraction"
    assert len(ws.corruption_names("cifar10-c-bar")) == 10
    assert ws.corruption_names("3dcc") == ["iso_noise", "low_light", "color_quant"]
    assert ws.corruption_names("validation") == ORDER[15:]
    groups = [name for group in ("noise", "blur", "weather", "digital") for name in ws.corruption_names(group)]
    assert groups == ORDER[:15]
    with pytest.raises(InputError, match="subset must be one of common, validation, all"):
        ws.corruption_names("some")


@pytest.mark.parametrize("name", [*ws.corruption_names("imagenet-c-bar"), *ws.corruption_names("cifar10-c-bar")])
def test_a_corruption_of_c_bar_takes_the_nearest_levels_that_it_has(name):
    assert (ws.corrupt(PHOTO, name, severity=5, seed=3) != PHOTO).any()
    assert ws.corrupt(KINDS["grey"], name, severity=5, seed=3).shape == PHOTO.shape[:2]


def test_levels_that_a_corruption_of_c_bar_does_not_have_are_refused():
    with pytest.raises(InputError, match=r"^PerlinNoise: parameters are known for 224 pixels, got pixels 32\."):
        ws.corrupt(PHOTO, "perlin_noise", pixels=32)


@pytest.mark.parametrize("name", [*ws.corruption_names("laion-c"), *ws.corruption_names("3dcc")])
def test_a_corruption_of_another_suite_has_the_usual_severity(name):
    image = np.random.default_rng(0).integers(0, 256, (120, 160, 3), dtype=np.uint8)
    made = ws.corrupt(image, name, seed=1)
    assert np.array_equal(made, ws.corrupt(image, name, 3, seed=1, pixels=224))
    assert not np.array_equal(made, ws.corrupt(image, name, 5, seed=1))


@pytest.mark.parametrize("name", ws.corruption_names("mnist-c"))
def test_a_corruption_of_mnist_c_has_severity_1(name):
    image = np.zeros((28, 28), np.uint8)
    image[4:20, 8:14] = 255
    made = ws.corrupt(image, name, seed=1)
    assert made.shape == image.shape
    assert not np.array_equal(made, image)
    assert np.array_equal(made, ws.corrupt(image, name, 1, seed=1))
    with pytest.raises(InputError, match="severity"):
        ws.corrupt(image, name, 3, seed=1)
