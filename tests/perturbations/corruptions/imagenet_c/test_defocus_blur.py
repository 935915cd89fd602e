import pytest
import torch

from withstand.functional.kernels.disk import disk
from withstand.perturbations.corruptions.imagenet_c.defocus_blur import DefocusBlur


@pytest.mark.parametrize(("severity", "pixels"), [(4, 224), (5, 64)])
def test_a_bright_pixel_becomes_a_disk(severity, pixels):
    corruption = DefocusBlur(severity=severity, pixels=pixels)
    kernel = disk(*corruption.published(50, 60)).float()
    half = len(kernel) // 2
    x = torch.zeros(1, 1, 50, 60)
    x[..., 20, 30] = 1
    expected = torch.zeros_like(x)
    expected[..., 20 - half : 21 + half, 30 - half : 31 + half] = kernel
    assert torch.allclose(corruption.corrupt(x, None), expected, rtol=0, atol=1e-6)


def test_the_two_largest_disks_brighten():
    x = torch.full((1, 3, 40, 40), 0.5)
    mean = [DefocusBlur(severity=severity, pixels=224).corrupt(x, None).mean().item() for severity in (1, 2, 3, 4, 5)]
    assert mean == pytest.approx([0.5, 0.5, 0.5, 0.50649, 0.50539], abs=1e-5)


def test_small_images_are_cut_to_8_bits_at_once():
    x = torch.full((1, 1, 12, 12), 100 / 255)
    x[..., 6, 6] = 99 / 255
    changed = DefocusBlur(severity=4, pixels=32).corrupt(x, None) * 255
    assert changed[0, 0, 5:8, 5:8].round().tolist() == [[100, 99, 100], [99, 99, 99], [100, 99, 100]]
    assert changed[0, 0, 2, 2].item() == pytest.approx(100)
