import torch

from withstand.perturbations.corruptions.imagenet_c.brightness import Brightness


def test_light_is_added_to_the_largest_channel_and_the_others_follow():
    x = torch.tensor([0.4, 0.2, 0.1]).reshape(1, 3, 1, 1)
    changed = Brightness(severity=4, pixels=224).corrupt(x, None)
    assert torch.allclose(changed.flatten(), torch.tensor([0.8, 0.4, 0.2]))
