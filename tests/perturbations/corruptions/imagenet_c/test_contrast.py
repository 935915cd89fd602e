import torch

from withstand.perturbations.corruptions.imagenet_c.contrast import Contrast


def test_each_channel_is_drawn_towards_its_own_mean():
    x = torch.tensor([[0.0, 1.0], [0.2, 0.4], [0.5, 0.5]]).reshape(1, 3, 1, 2)
    expected = torch.tensor([[0.3, 0.7], [0.26, 0.34], [0.5, 0.5]]).reshape(1, 3, 1, 2)
    assert torch.allclose(Contrast(severity=1, pixels=224).corrupt(x, None), expected)
