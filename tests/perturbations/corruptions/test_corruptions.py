"""What every corruption keeps, over all of them."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from withstand.data.space import Space
from withstand.errors import InputError
from withstand.functional.random import integers, row_streams, stream
from withstand.perturbations.corruptions.imagenet_c.brightness import Brightness
from withstand.perturbations.corruptions.imagenet_c.contrast import Contrast
from withstand.perturbations.corruptions.imagenet_c.frost import Frost
from withstand.perturbations.corruptions.imagenet_c.gaussian_noise import GaussianNoise
from withstand.perturbations.corruptions.imagenet_c.pixelate import Pixelate
from withstand.perturbations.corruptions.suites import extras, imagenet_c

ALL = tuple(
    replace(each, textures="procedural") if isinstance(each, Frost) else each  # the published ones are files
    for each in imagenet_c(severities=(1, 5), pixels=32) + extras(severities=(1, 5), pixels=32)
)
MODEL = nn.Identity()

every_corruption = pytest.mark.parametrize("corruption", ALL, ids=lambda each: each.condition)


def photos(*shape):
    return integers(shape, 0, 256, rng=stream(0, "photos")).float() / 255


def drawn(corruption, x, rng, num_draws=1):
    y = torch.zeros(len(x), dtype=torch.long)
    return corruption.draw(x, y, MODEL, space=Space.like(x), num_draws=num_draws, rng=rng).inputs


@pytest.mark.parametrize("channels", [1, 3])
@every_corruption
def test_images_of_any_size_stay_in_the_unit_interval_and_on_the_grid_of_8_bits(corruption, channels):
    x = photos(3, channels, 20, 37)
    copies = drawn(corruption, x, stream(0, "noise"), num_draws=2)
    assert copies.shape == (2, *x.shape)
    assert copies.dtype == torch.float32
    assert copies.min() >= 0
    assert copies.max() <= 1
    assert torch.equal(copies, (copies * 255).round() / 255)


@every_corruption
def test_the_same_source_gives_the_same_images_and_leaves_the_input_and_global_generator_alone(corruption):
    x = photos(2, 3, 32, 32)
    before, state = x.clone(), torch.get_rng_state()
    assert torch.equal(drawn(corruption, x, stream(0, "a")), drawn(corruption, x, stream(0, "a")))
    assert torch.equal(x, before)
    assert torch.equal(torch.get_rng_state(), state)


@every_corruption
def test_with_a_source_per_row_a_row_does_not_depend_on_its_neighbours(corruption):
    x = photos(5, 3, 32, 32)
    x[0] = x[0].sqrt()  # off the grid of 8 bits
    index = torch.tensor([7, 3, 9, 0, 4])
    together = drawn(corruption, x, row_streams(0, "noise", index=index))
    for row in range(5):
        alone = drawn(corruption, x[row : row + 1], row_streams(0, "noise", index=index[row : row + 1]))
        assert torch.equal(together[:, row : row + 1], alone)


@pytest.mark.parametrize("corruption", [Brightness(), Contrast(), Pixelate()], ids=lambda each: each.condition)
def test_a_grey_image_has_the_same_result_in_one_channel_and_in_three(corruption):
    x = photos(2, 1, 32, 32)
    one, three = (
        drawn(corruption, x, stream(0, "a")),
        drawn(corruption, x.expand(-1, 3, -1, -1), stream(0, "a")),
    )
    assert torch.equal(one.expand_as(three), three)


@every_corruption
def test_every_size_has_five_severities(corruption):
    assert list(corruption.tables) == [224, 299, 64, 32]
    assert all(len(values) == 5 for values in corruption.tables.values())


def test_a_size_without_a_table_is_refused_when_it_comes():
    with pytest.raises(InputError, match="images of 20 x 37 need the field pixels"):
        drawn(GaussianNoise(), photos(1, 3, 20, 37), stream(0, "a"))


def test_the_image_names_the_table_unless_pixels_does():
    assert GaussianNoise(severity=1).published(224, 224) == 0.08
    assert GaussianNoise(severity=1, pixels=32).published(224, 224) == 0.04
