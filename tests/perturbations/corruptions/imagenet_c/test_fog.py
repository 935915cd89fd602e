import pytest
import torch

from withstand.functional.kernels.plasma import plasma
from withstand.functional.random import stream
from withstand.perturbations.corruptions.imagenet_c.fog import Fog


def test_the_fractal_is_added_and_the_whole_darkened():
    x = torch.tensor([0.0, 0.2, 0.4]).reshape(1, 3, 1, 1).expand(-1, -1, 32, 32)
    fog = Fog(severity=5, pixels=32)
    parameters = fog.sample(x.shape, rng=stream(0, "a"))
    clouds = plasma(parameters, decay=1.75)[:, None]
    assert torch.allclose(fog.corrupt(x, parameters), (x + 1.5 * clouds) * 0.4 / (0.4 + 1.5), atol=1e-6)


def test_black_stays_black():
    x = torch.zeros(2, 3, 32, 32)
    fog = Fog(severity=5)
    assert torch.equal(fog.corrupt(x, fog.sample(x.shape, rng=stream(0, "a"))), x)


@pytest.mark.parametrize(
    ("size", "side"),
    [((224, 224), 256), ((299, 299), 512), ((64, 64), 64), ((32, 32), 32), ((20, 37), 64), ((1, 1), 2)],
)
def test_the_fractal_is_the_smallest_that_holds_the_image(size, side):
    fog = Fog(pixels=224)
    parameters = fog.sample((2, 3, *size), rng=stream(0, "a"))
    assert parameters.shape == (2, side**2 - 1)
    assert fog.corrupt(torch.full((2, 3, *size), 0.5), parameters).shape == (2, 3, *size)


def test_a_batch_larger_than_what_is_worked_on_at_once_is_its_images_one_by_one():
    x = torch.rand(19, 3, 16, 16, generator=stream(0, "x"))
    fog = Fog(pixels=32)
    parameters = fog.sample(x.shape, rng=stream(0, "a"))
    alone = torch.cat([fog.corrupt(x[i : i + 1], parameters[i : i + 1]) for i in range(19)])
    assert torch.allclose(fog.corrupt(x, parameters), alone, atol=1e-6)
