import torch

from withstand.functional.random import stream
from withstand.perturbations.corruptions.imagenet_c.gaussian_noise import GaussianNoise


def test_noise_is_standard_normal_times_the_published_std():
    noise = GaussianNoise(severity=5, pixels=224)
    parameters = noise.sample((8, 3, 64, 64), rng=stream(0, "a"))
    assert abs(parameters.mean()) < 0.02
    assert abs(parameters.std() - 1) < 0.02
    assert torch.allclose(
        noise.corrupt(torch.full((8, 3, 64, 64), 0.5), parameters), (0.5 + 0.38 * parameters).clamp(0, 1), atol=1e-6
    )


def test_channels_have_noise_of_their_own():
    parameters = GaussianNoise(pixels=32).sample((4, 3, 64, 64), rng=stream(0, "a"))
    correlation = torch.corrcoef(parameters.transpose(0, 1).flatten(1)) - torch.eye(3)
    assert correlation.abs().max() < 0.05
