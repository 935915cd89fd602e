import pytest

from withstand import conditions
from withstand.perturbations.corruptions.imagenet_c.gaussian_noise import GaussianNoise
from withstand.perturbations.corruptions.imagenet_c.jpeg_compression import JpegCompression
from withstand.perturbations.corruptions.imagenet_c.speckle_noise import SpeckleNoise
from withstand.perturbations.corruptions.suites import (
    CIFAR10_C_BAR,
    EXTRAS,
    IMAGENET_C,
    IMAGENET_C_BAR,
    SUITES,
    cifar10_c_bar,
    extras,
    group,
    imagenet_c,
    imagenet_c_bar,
    nearest_pixels,
    other_suites,
    others,
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


def test_suites_have_the_names_and_the_order_that_conditions_know():
    names = {name: tuple(each.published_name() for each in own) for name, own in SUITES.items()}
    assert names == conditions.SUITES
    assert list(names) == list(conditions.SUITES)
    severities = {
        each.published_name(): len(next(iter(each.tables.values()))) for own in SUITES.values() for each in own
    }
    assert severities == {name: len(conditions.severities_of(name)) for name in severities}
    names = tuple(each.published_name() for members in IMAGENET_C.values() for each in members)
    assert names == conditions.IMAGENET_C


def test_another_suite_shares_neither_corruptions_nor_names_with_imagenet_c():
    bar = {*IMAGENET_C_BAR, *CIFAR10_C_BAR}
    assert len(bar) == 15
    beyond = {each for own in SUITES.values() for each in own}
    assert len(beyond) == 15 + 3 + 3 + 15
    own = imagenet_c() + extras() + others()
    assert not beyond & {type(each) for each in own}
    assert not {each.published_name() for each in beyond} & {each.published_name() for each in own}


def test_a_suite_has_the_severities_that_are_published():
    suites = other_suites(severities=(1, 4))
    assert {name: len(own) for name, own in suites.items()} == {
        "imagenet-c-bar": 20,
        "cifar10-c-bar": 20,
        "laion-c": 6,
        "3dcc": 6,
        "mnist-c": 15,
    }
    assert other_suites(severities=(2,))["mnist-c"] == ()
    assert {each.pixels for each in other_suites(pixels=32)["mnist-c"]} == {28}
    assert {each.pixels for each in other_suites(pixels=32)["laion-c"]} == {224}


@pytest.mark.parametrize("pixels", [32, 64, 224, 299])
def test_each_corruption_of_c_bar_takes_the_nearest_levels_that_it_has(pixels):
    for each in imagenet_c_bar(pixels=pixels) + cifar10_c_bar(pixels=pixels):
        near, far = (32, 224) if pixels < 80 else (224, 32)
        assert each.pixels == (near if near in each.tables else far)
