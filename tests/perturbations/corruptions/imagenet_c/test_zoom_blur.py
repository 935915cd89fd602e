import pytest
import torch

from withstand.perturbations.corruptions.imagenet_c.zoom_blur import ZoomBlur


@pytest.mark.parametrize("pixels", [224, 32])
def test_a_constant_image_stays(pixels):
    x = torch.full((1, 3, 40, 30), 0.7)
    assert torch.allclose(ZoomBlur(severity=5, pixels=pixels).corrupt(x, None), x)


def test_the_centre_moves_less_than_the_border():
    x = (torch.arange(224) / 224).expand(1, 1, 224, 224)
    moved = (ZoomBlur(severity=5).corrupt(x, None) - x).abs()[0, 0, 0] * 224
    assert moved[111:113].max() < 1
    # Every factor z brings what is at d from the middle there from d / z; the image counts twice.
    factors = torch.tensor([1, 1, 1.03, 1.06, 1.09, 1.12, 1.15, 1.18, 1.21, 1.24, 1.27, 1.3])
    assert moved[[0, -1]].tolist() == pytest.approx([(112 * (1 - 1 / factors)).mean().item()] * 2, abs=1)
