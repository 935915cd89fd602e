import torch

from withstand.functional.random import stream
from withstand.perturbations.corruptions.imagenet_c.spatter import Spatter


def splash(*size):
    noise = torch.full((1, *size), -50.0)
    noise[:, 8:20, 8:20] = 1.0
    return noise


def test_mud_covers_what_it_touches_and_nothing_else():
    x = torch.full((1, 3, 32, 32), 0.9)
    changed = Spatter(severity=4, pixels=32).corrupt(x, splash(32, 32))
    assert torch.allclose(changed[0, :, 13, 13], torch.tensor([63.0, 42, 20]) / 255)
    assert torch.equal(changed[..., 24:, :], x[..., 24:, :])


def test_water_lights_the_image_up_in_its_colour():
    x = torch.full((1, 3, 32, 32), 0.2)
    changed = Spatter(severity=1, pixels=32).corrupt(x, splash(32, 32))
    assert (changed >= x).all()
    assert torch.allclose(changed.amax((2, 3))[0], 0.2 + 0.5 * torch.tensor([175.0, 238, 238]) / 255)


def test_without_a_drop_the_image_stays():
    x = torch.rand(2, 3, 32, 32, generator=stream(0, "x"))
    for severity in (1, 2, 3, 4, 5):
        assert torch.equal(Spatter(severity=severity).corrupt(x, torch.full((2, 32, 32), -50.0)), x)


def test_one_channel_meets_the_mean_of_the_colour():
    x = torch.full((1, 1, 32, 32), 0.9)
    changed = Spatter(severity=4, pixels=32).corrupt(x, splash(32, 32))
    assert torch.allclose(changed[0, 0, 13, 13], torch.tensor((63 + 42 + 20) / 3 / 255))
