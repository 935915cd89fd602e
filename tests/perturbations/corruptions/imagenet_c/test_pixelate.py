import torch

from withstand.perturbations.corruptions.imagenet_c.pixelate import Pixelate


def test_blocks_have_the_mean_of_their_pixels():
    x = torch.tensor([[0.0, 10, 0, 0], [20, 30, 0, 4]]).reshape(1, 1, 2, 4) / 255
    changed = Pixelate(severity=1, pixels=299).corrupt(x, None) * 255
    assert torch.allclose(changed.flatten(), torch.tensor([15.0, 15, 1, 1]).repeat(2))


def test_an_image_of_one_pixel_stays():
    x = torch.full((1, 3, 1, 1), 0.2)
    assert torch.equal(Pixelate(pixels=32).corrupt(x, None), x)
