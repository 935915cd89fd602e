import pytest
import torch
from scipy import ndimage

from withstand.functional.kernels.gaussian import gaussian_filter
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
