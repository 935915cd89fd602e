import pytest
import torch

from withstand.data.frost_textures import TEXTURES
from withstand.errors import InputError
from withstand.functional.kernels.bilinear import resize
from withstand.functional.random import stream
from withstand.perturbations.corruptions.imagenet_c import frost as module
from withstand.perturbations.corruptions.imagenet_c.frost import Frost


@pytest.fixture(scope="module")
def made():
    return module._read_or_make("procedural")


def procedural(**fields):
    return Frost(textures="procedural", **fields)


def test_a_piece_of_the_texture_is_laid_over_the_image(made):
    x = torch.rand(2, 3, 20, 30, generator=stream(0, "x"))
    changed = procedural(severity=3, pixels=224).corrupt(x, torch.tensor([[1, 7, 9], [4, 100, 200]]))
    pieces = torch.stack([made[1][:, 7:27, 9:39], made[4][:, 100:120, 200:230]]) / 255
    assert torch.allclose(changed, (0.7 * x + 0.7 * pieces).clamp(0, 1), atol=1e-6)


def test_textures_are_shrunk_for_small_images(made):
    x = torch.zeros(1, 3, 32, 32)
    changed = procedural(severity=5).corrupt(x, torch.tensor([[2, 3, 4]]))
    assert torch.allclose(changed[0], 0.45 * resize(made[2], 0.2)[:, 3:35, 4:36] / 255, atol=1e-6)


def test_textures_are_enlarged_for_large_images(made):
    x = torch.zeros(1, 3, 400, 300)
    frost = procedural(severity=1, pixels=224)
    parameters = torch.tensor([[1, 0, 50]])
    enlarged = resize(made[1], 400 / 315)
    assert enlarged.shape == (3, 400, 711)
    assert torch.allclose(frost.corrupt(x, parameters)[0], 0.4 * enlarged[:, :, 50:350] / 255, atol=1e-6)
    index, top, left = frost.sample((2000, 3, 400, 300), rng=stream(0, "a")).unbind(1)
    assert top[(index == 1) | (index == 2)].max() == 0
    assert 400 < left[index == 1].max() < 711 - 300


def test_one_channel_meets_a_grey_texture(made):
    changed = procedural(severity=5).corrupt(torch.zeros(1, 1, 32, 32), torch.tensor([[2, 3, 4]]))
    weights = torch.tensor([0.299, 0.587, 0.114])[:, None, None]
    grey = (resize(made[2], 0.2) * weights).sum(0)[3:35, 4:36]
    assert torch.allclose(changed[0, 0], 0.45 * grey / 255, atol=0.45 * 0.51 / 255)


@pytest.mark.parametrize(("pixels", "factor"), [(224, 1), (299, 1), (64, 0.3), (32, 0.2)])
def test_every_texture_and_place_but_the_last_has_its_turn(pixels, factor):
    index, top, left = Frost().sample((20_000, 3, pixels, pixels), rng=stream(0, "a")).unbind(1)
    for number, texture in enumerate(TEXTURES):
        chosen = index == number
        assert abs(chosen.double().mean() - 0.2) < 0.01
        for start, side in ((top[chosen], texture.height), (left[chosen], texture.width)):
            room = round(side * factor) - pixels
            assert start.min() == 0
            assert start.max() <= room - 1
            assert abs(start.double().mean() - (room - 1) / 2) < 0.03 * room


def test_published_and_made_textures_have_names_of_their_own():
    assert Frost(severity=2).condition == "frost/2"
    assert procedural(severity=2).condition == "frost-procedural/2"


def test_textures_are_looked_for_when_they_are_needed(no_frost_textures):
    corruption = Frost(severity=1)
    parameters = corruption.sample((1, 3, 32, 32), rng=stream(0, "a"))
    with pytest.raises(InputError, match=r"expected the texture frost1\.png at"):
        corruption.corrupt(torch.zeros(1, 3, 32, 32), parameters)
