import pytest
import torch

from withstand.functional.kernels.gaussian import gaussian_filter
from withstand.functional.levels import floor_to_8_bits
from withstand.functional.random import stream, uniform
from withstand.perturbations.corruptions.imagenet_c.gaussian_blur import GaussianBlur


@pytest.mark.parametrize(("severity", "pixels", "std"), [(5, 224, 6), (1, 32, 0.4)])
def test_each_channel_is_smoothed_by_the_published_std(severity, pixels, std):
    x = (uniform((2, 3, 40, 50), rng=stream(0, "x")) * 255).floor() / 255
    levels = floor_to_8_bits(GaussianBlur(severity=severity, pixels=pixels).corrupt(x, None)) * 255
    lost = gaussian_filter(x.double(), std, border="nearest") * 255 - levels
    assert lost.min() > -2e-3
    assert lost.max() < 1 + 1e-4


def test_a_plain_image_stays_but_where_the_rounding_of_the_original_loses_a_level():
    x = (torch.tensor([40.0, 41.0, 42.0]) / 255).reshape(3, 1, 1, 1).expand(-1, 3, 9, 9)
    for severity, levels in ((1, [40, 40, 42]), (5, [40, 41, 42])):
        changed = floor_to_8_bits(GaussianBlur(severity=severity, pixels=32).corrupt(x, None))
        assert (changed * 255).round()[:, 0, 4, 4].tolist() == levels
