import pytest
import torch
from scipy import ndimage

from withstand.functional.kernels.gaussian import blur, gaussian_filter, gaussian_weights, sum_in_order
from withstand.functional.random import stream, uniform

BORDERS = ["nearest", "reflect"]


def images(*shape):
    return uniform(shape, rng=stream(0, "images"))


@pytest.mark.parametrize("border", BORDERS)
@pytest.mark.parametrize("truncate", [3.0, 4.0])
@pytest.mark.parametrize("std", [0.05, 0.4, 1.5, 6, 171])
@pytest.mark.parametrize("shape", [(224, 150), (32, 32), (8, 5), (1, 1), (1, 70)])
def test_every_size_and_std_agrees_with_scipy(border, truncate, std, shape):
    x = images(2, *shape)
    expected = ndimage.gaussian_filter(x.double().numpy(), (0, std, std), mode=border, truncate=truncate)
    smooth = gaussian_filter(x, std, border=border, truncate=truncate)
    assert smooth.dtype == torch.float32
    assert torch.allclose(smooth.double(), torch.from_numpy(expected), rtol=0, atol=1e-6)


@pytest.mark.parametrize("border", BORDERS)
@pytest.mark.parametrize("shape", [(224, 224), (70, 190), (32, 32), (5, 8), (1, 1)])
def test_an_image_does_not_depend_on_how_many_there_are(shape, border):
    x = images(14, *shape)
    together = gaussian_filter(x, 2.0, border=border)
    for count in (1, 2, 3, 13):
        assert torch.equal(gaussian_filter(x[:count], 2.0, border=border), together[:count])
        assert torch.equal(gaussian_filter(x[-count:], 2.0, border=border), together[-count:])


def test_std_0_returns_a_copy():
    x = images(1, 4, 4)
    smooth = gaussian_filter(x, 0.0, border="reflect")
    assert torch.equal(smooth, x)
    assert smooth.data_ptr() != x.data_ptr()


def test_no_image_is_fine():
    assert gaussian_filter(images(0, 3, 8, 8), 1.0, border="nearest").shape == (0, 3, 8, 8)


@pytest.mark.parametrize("std", [0.05, 0.25, 0.4, 0.6])
def test_a_small_blur_is_cut_to_8_bits_as_numpy_cuts_that_of_scipy(std):
    levels = (images(2, 3, 40, 50) * 255).floor()
    levels[..., :20, :] = levels[..., :1, :1]  # a plain area, where all results are whole levels up to rounding
    smooth, weights = levels.double().numpy() / 255, gaussian_weights(std, int(4 * std + 0.5))
    for axis in (2, 3):
        smooth = ndimage.correlate1d(smooth, weights, axis=axis, mode="nearest")
    cut = torch.from_numpy((smooth * 255).astype("uint8"))
    assert torch.equal((blur(levels / 255, std) * 255).round().to(torch.uint8), cut)


@pytest.mark.parametrize("shape", [(64, 50), (3, 4), (1, 1)])
def test_a_large_blur_is_that_of_scipy(shape):
    x = images(2, 3, *shape)
    expected = ndimage.gaussian_filter(x.double().numpy(), (0, 0, 1.5, 1.5), mode="nearest")
    assert torch.allclose(blur(x, 1.5).double(), torch.from_numpy(expected), rtol=0, atol=1e-6)


@pytest.mark.parametrize(("border", "radius"), [("nearest", 2), ("reflect", 5), ("mirror", 7)])
def test_sums_in_order_have_the_bits_of_scipy(border, radius):
    x, weights = images(20, 30).double(), gaussian_weights(1.7, radius)
    expected = x.numpy()
    for axis in (0, 1):
        expected = ndimage.correlate1d(expected, weights, axis=axis, mode=border)
    assert torch.equal(sum_in_order(x, weights, border=border), torch.from_numpy(expected))


def test_two_standard_deviations_are_those_of_columns_and_rows():
    x = images(2, 21, 40)
    for stds in ((0.4, 2.5), (3.0, 0.0), (0.1, 1.0)):
        ours = gaussian_filter(x, stds, border="reflect", truncate=3)
        for image, own in zip(x.double().numpy(), ours.numpy(), strict=True):
            assert abs(own - ndimage.gaussian_filter(image, stds, mode="reflect", truncate=3)).max() < 1e-6
