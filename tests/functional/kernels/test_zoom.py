import numpy as np
import pytest
import torch
from scipy import ndimage

from withstand.functional.kernels.zoom import enlarge, mean_of_zooms, middle
from withstand.functional.random import stream, uniform

FACTORS = [1, 1.01, 1.11, 1.3, 1.75, 2.5, 3, 4.5]
SHAPES = [(224, 224), (64, 64), (32, 40), (8, 5), (1, 1), (2, 1)]


def images(*shape):
    return uniform(shape, rng=stream(0, "images"))


def by_scipy(x, factor):
    # The ends of an enlarged row are the ends of the row, which scipy misses now and then by rounding.
    zoomed = ndimage.zoom(x.double().numpy(), factor, order=1, mode="nearest")
    return torch.from_numpy(np.ascontiguousarray(zoomed))


@pytest.mark.parametrize("factor", FACTORS)
@pytest.mark.parametrize("shape", SHAPES)
def test_enlarging_agrees_with_scipy(shape, factor):
    height, width = shape
    x = images(height, width)[middle(height, factor), middle(width, factor)]
    zoomed = by_scipy(x, factor)
    top, left = (zoomed.shape[0] - height) // 2, (zoomed.shape[1] - width) // 2
    expected = zoomed[top : top + height, left : left + width]
    ours = enlarge(x, factor, height=height, width=width)
    assert ours.dtype == torch.float32
    assert torch.allclose(ours.double(), expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("shape", SHAPES)
def test_the_mean_is_that_of_the_image_and_its_enlarged_middles(shape):
    x = images(2, 3, *shape)
    height, width = shape
    zooms = [
        enlarge(x[..., middle(height, factor), middle(width, factor)], factor, height=height, width=width)
        for factor in FACTORS
    ]
    assert torch.allclose(mean_of_zooms(x, FACTORS), torch.stack([x, *zooms]).mean(0), rtol=0, atol=1e-6)


def test_the_middle_has_as_much_before_it_as_behind_or_one_less():
    for size in range(1, 70):
        for factor in FACTORS:
            chosen = range(size)[middle(size, factor)]
            assert size - 1 - chosen[-1] - chosen[0] in (0, 1)
            assert len(chosen) * factor >= size


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("side", [224, 37])
def test_an_image_does_not_depend_on_the_others_nor_on_how_it_lies_in_memory(side, channels):
    x = images(19, channels, side, side)
    together = mean_of_zooms(x, FACTORS[:4])
    for count in (1, 2, 5, 16):
        part = x[-count:].contiguous(memory_format=torch.channels_last)
        assert torch.equal(mean_of_zooms(x[:count], FACTORS[:4]), together[:count])
        assert torch.equal(mean_of_zooms(part, FACTORS[:4]), together[-count:])


def test_no_image_is_fine():
    assert mean_of_zooms(images(0, 3, 8, 8), FACTORS).shape == (0, 3, 8, 8)
