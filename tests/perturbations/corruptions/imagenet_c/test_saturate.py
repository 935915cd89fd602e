import torch

from withstand.perturbations.corruptions.imagenet_c.saturate import Saturate


def test_saturation_is_multiplied_and_increased():
    x = torch.tensor([0.8, 0.72, 0.76]).reshape(1, 3, 1, 1)
    changed = Saturate(severity=4, pixels=32).corrupt(x, None)  # from 0.1 to 0.1 * 2 + 0.1
    assert torch.allclose(changed.flatten(), torch.tensor([0.8, 0.56, 0.68]))
