import pytest

from withstand.perturbations.corruptions.imagenet_c.gaussian_noise import GaussianNoise
from withstand.perturbations.corruptions.imagenet_c.jpeg_compression import JpegCompression
from withstand.perturbations.corruptions.imagenet_c.speckle_noise import SpeckleNoise
from withstand.perturbations.corruptions.suites import (
    EXTRAS,
    IMAGENET_C,
    extras,
    group,
    imagenet_c,
    nearest_pixels,
)


def test_every_corruption_comes_with_every_severity_in_order():
    suite = imagenet_c(severities=(2, 4), pixels=64)
    assert suite[0] == GaussianNoise(severity=2, pixels=64)
    assert suite[1] == GaussianNoise(severity=4, pixels=64)
    assert suite[-1] == JpegCompression(severity=4, pixels=64)
    assert len(suite) == 2 * sum(len(members) for members in IMAGENET_C.values())


def test_all_conditions_differ():
    conditions = [each.condition for each in imagenet_c() + extras()]
    assert len(set(conditions)) == len(conditions)


def test_extras_are_not_in_the_benchmark():
    assert SpeckleNoise() in extras(severities=(3,))
    assert not {type(each) for each in extras()} & {type(each) for each in imagenet_c()}


@pytest.mark.parametrize("suite", [IMAGENET_C, EXTRAS])
def test_group_is_the_heading(suite):
    assert all(group(member(severity=1)) == name for name, members in suite.items() for member in members)


@pytest.mark.parametrize(
    ("size", "pixels"),
    [
        ((1, 1), 32),
        ((45, 45), 32),
        ((46, 46), 64),
        ((119, 300), 64),
        ((120, 120), 224),
        ((258, 258), 224),
        ((259, 259), 299),
        ((1000, 600), 299),
    ],
)
def test_the_nearest_size_is_that_of_the_shorter_side_by_ratio(size, pixels):
    assert nearest_pixels(*size) == pixels
