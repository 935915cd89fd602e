import pytest

from withstand.functional.kernels.gaussian import gaussian_filter
from withstand.functional.random import stream, uniform
from withstand.perturbations.corruptions.gaussian_blur import GaussianBlur


@pytest.mark.parametrize(("severity", "pixels", "std"), [(5, 224, 6), (1, 32, 0.4)])
def test_each_channel_is_smoothed_by_the_published_std_and_cut_down(severity, pixels, std):
    x = (uniform((2, 3, 40, 50), rng=stream(0, "x")) * 255).floor() / 255
    levels = GaussianBlur(severity=severity, pixels=pixels).corrupt(x, None) * 255
    smooth = gaussian_filter(x.double(), std, border="nearest") * 255
    assert (smooth - levels).min() > -2e-3
    assert (smooth - levels).max() < 1 + 1e-4
    assert (levels - levels.round()).abs().max() < 1e-4
