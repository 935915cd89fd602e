import torch

from withstand.functional.random import stream
from withstand.perturbations.corruptions.imagenet_c.impulse_noise import ImpulseNoise


def test_shares_are_the_published_amount_and_a_half():
    flipped, salted = ImpulseNoise(severity=5, pixels=224).sample((8, 3, 100, 100), rng=stream(0, "a"))
    assert abs(flipped.double().mean() - 0.27) < 0.004
    assert abs(salted[flipped == 1].double().mean() - 0.5) < 0.008


def test_only_what_is_flipped_becomes_black_or_white():
    x = torch.full((1, 1, 1, 4), 0.5)
    flipped = torch.tensor([True, True, False, False]).reshape(x.shape)
    salted = torch.tensor([True, False, True, False]).reshape(x.shape)
    assert ImpulseNoise(pixels=32).corrupt(x, (flipped, salted)).flatten().tolist() == [1.0, 0.0, 0.5, 0.5]
