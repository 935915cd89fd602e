import torch

from withstand.perturbations.corruptions.imagenet_c.speckle_noise import SpeckleNoise


def test_noise_is_in_proportion_to_the_image():
    x = torch.tensor([0.0, 0.25, 0.5, 1.0]).reshape(1, 1, 1, 4)
    changed = SpeckleNoise(severity=1, pixels=64).corrupt(x, torch.full_like(x, -2.0))
    assert torch.allclose(changed.flatten(), torch.tensor([0.0, 0.175, 0.35, 0.7]))
