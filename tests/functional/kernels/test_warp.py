import pytest
import torch
from scipy import ndimage

from withstand.functional.kernels.warp import displace, warp_affine
from withstand.functional.random import stream, uniform

SHAPES = [(224, 224), (40, 31), (8, 5), (1, 6), (1, 1)]


def images(*shape):
    return uniform(shape, rng=stream(0, "images"))


@pytest.mark.parametrize("shape", SHAPES)
def test_an_affine_map_agrees_with_scipy_far_beyond_the_border(shape):
    x = images(2, 3, *shape)
    inverse = torch.tensor([[[1.3, 0.2, -5.7], [-0.4, 0.6, 30.2]], [[-0.7, 0.1, 3.1], [0.2, 1.8, -2.4]]])
    moved = warp_affine(x, inverse)
    for image, result, matrix in zip(x.numpy(), moved, inverse.flip(1).double().numpy(), strict=True):
        for channel, values in zip(image, result, strict=True):
            expected = ndimage.affine_transform(
                channel.astype(float), matrix[:, 1::-1], matrix[:, 2], order=1, mode="mirror"
            )
            assert torch.allclose(values.double(), torch.from_numpy(expected), rtol=0, atol=2e-4)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("amplitude", [0.0, 3.0, 70.0])
def test_a_displacement_agrees_with_scipy(shape, amplitude):
    x, field = images(2, 3, *shape), uniform((2, 2, *shape), rng=stream(0, "field")) * 2 - 1
    moved = displace(x, field, amplitude=amplitude)
    pixels = torch.stack(torch.meshgrid(*(torch.arange(size) for size in shape), indexing="ij"))
    for image, result, shift in zip(x, moved, field.double() * amplitude, strict=True):
        places = (pixels + shift.flip(0)).numpy()
        for channel, values in zip(image, result, strict=True):
            expected = ndimage.map_coordinates(channel.double().numpy(), places, order=1, mode="reflect")
            assert torch.allclose(values.double(), torch.from_numpy(expected), rtol=0, atol=2e-4)


def test_the_unit_map_and_no_displacement_change_nothing_that_the_cut_to_8_bits_does_not_mend():
    x = (images(1, 3, 224, 224) * 255).floor() / 255
    same = torch.tensor([[[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]])
    assert (warp_affine(x, same) - x).abs().max() < 1e-4
    assert (displace(x, torch.zeros(1, 2, 224, 224)) - x).abs().max() < 1e-4
