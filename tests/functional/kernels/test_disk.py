import pytest
import torch
from scipy import ndimage

from withstand.functional.kernels.disk import correlate, disk
from withstand.functional.random import stream, uniform


def images(*shape):
    return uniform(shape, rng=stream(0, "images"))


@pytest.mark.parametrize(
    ("radius", "std", "total"), [(3, 0.1, 1), (4, 0.5, 1), (6, 0.5, 1), (8, 0.5, 1.0130), (10, 0.5, 1.0108)]
)
def test_weights_have_the_sum_of_the_original_which_may_exceed_1(radius, std, total):
    assert disk(radius, std).sum().item() == pytest.approx(total, abs=5e-5)


@pytest.mark.parametrize(("radius", "side"), [(0.3, 1), (1, 3), (2.5, 5), (3, 7), (8, 17), (10, 21), (12, 25)])
def test_a_disk_is_as_wide_as_its_diameter_and_symmetric(radius, side):
    kernel = disk(radius, 0.1)
    assert kernel.shape == (side, side)
    for other in (kernel.mT, kernel.flip(0), kernel.flip(1)):
        assert torch.allclose(kernel, other, rtol=0, atol=1e-15)


def test_a_disk_smaller_than_a_pixel_is_the_gaussian_alone():
    weights = torch.exp(torch.tensor([-0.5, 0, -0.5], dtype=torch.float64) / 0.4**2)
    expected = weights / weights.sum()
    assert torch.allclose(disk(0.3, 0.4), expected[:, None] * expected)


@pytest.mark.parametrize("shape", [(2, 3, 224, 150), (1, 1, 32, 32), (2, 3, 8, 5), (3, 1, 1, 1), (1, 3, 1, 30)])
@pytest.mark.parametrize("side", [1, 3, 21])
def test_correlating_agrees_with_scipy_whatever_the_kernel(shape, side):
    x, kernel = images(*shape), images(side, side).double() / side**2
    expected = ndimage.correlate(x.double().numpy(), kernel[None, None].numpy(), mode="mirror")
    assert torch.allclose(correlate(x, kernel).double(), torch.from_numpy(expected), rtol=0, atol=1e-6)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("side", [224, 224 + 8, 32])
def test_an_image_does_not_depend_on_how_many_there_are(channels, side):
    x, kernel = images(12, channels, side, side), disk(8, 0.5)
    together = correlate(x, kernel)
    for count in (1, 2, 7):
        assert torch.equal(correlate(x[:count], kernel), together[:count])
        assert torch.equal(correlate(x[-count:], kernel), together[-count:])


def test_no_image_is_fine_even_where_fourier_transforms_refuse_it(monkeypatch):
    def refusing(x, *arguments, **options):
        assert len(x), "an empty batch was transformed"
        return rfft2(x, *arguments, **options)

    rfft2 = torch.fft.rfft2
    monkeypatch.setattr(torch.fft, "rfft2", refusing)
    assert correlate(images(0, 3, 8, 8), disk(8, 0.1)).shape == (0, 3, 8, 8)
    assert correlate(images(0, 3, 8, 8), disk(3, 0.1)).shape == (0, 3, 8, 8)
