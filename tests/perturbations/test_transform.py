"""Corruptions outside the package's loops: as transforms."""

import pytest
import torch

from withstand.errors import InputError
from withstand.functional.random import stream
from withstand.perturbations.corruptions.imagenet_c.contrast import Contrast
from withstand.perturbations.corruptions.imagenet_c.gaussian_noise import GaussianNoise
from withstand.perturbations.gaussian import Gaussian
from withstand.perturbations.imagenet_c import ImageNetC


@pytest.mark.parametrize("shape", [(3, 32, 32), (2, 3, 32, 32), (2, 1, 1, 20, 30)])
@pytest.mark.parametrize("perturbation", [GaussianNoise(pixels=32), ImageNetC(pixels=32, frost="procedural")])
def test_any_leading_axes_are_kept(perturbation, shape):
    x = torch.rand(shape, generator=stream(0, "x"))
    assert perturbation(x, rng=stream(0, "a")).shape == shape


def test_whole_levels_stay_whole_levels():
    x = torch.randint(0, 256, (2, 3, 32, 32), generator=stream(0, "x"), dtype=torch.uint8)
    in_levels = GaussianNoise(pixels=32)(x, rng=stream(0, "a"))
    assert in_levels.dtype == torch.uint8
    in_fractions = GaussianNoise(pixels=32)(x.float() / 255, rng=stream(0, "a"))
    assert torch.equal((in_fractions * 255).round().to(torch.uint8), in_levels)


def test_images_are_cut_to_their_box():
    made = Gaussian(std=5.0)(torch.full((2, 3, 8, 8), 0.5), rng=stream(0, "a"))
    assert (made.min().item(), made.max().item()) == (0.0, 1.0)


def test_without_a_source_the_global_seed_decides():
    x = torch.full((3, 32, 32), 0.5)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        first, second = GaussianNoise(pixels=32)(x), GaussianNoise(pixels=32)(x)
        torch.manual_seed(1)
        again = GaussianNoise(pixels=32)(x)
    assert torch.equal(first, again)
    assert not torch.equal(first, second)


def test_they_stand_in_a_composition_of_torchvision():
    transforms = pytest.importorskip("torchvision.transforms.v2", exc_type=(ImportError, RuntimeError))
    from PIL import Image

    chain = transforms.Compose(
        [
            transforms.ToImage(),
            transforms.ToDtype(torch.float32, scale=True),
            transforms.RandomHorizontalFlip(),
            Contrast(severity=5, pixels=32),
        ]
    )
    made = chain(Image.new("RGB", (32, 32), (100, 150, 200)))
    assert (made * 255).round().flatten(1).unique(dim=1).flatten().tolist() == [100, 150, 200]


def test_what_is_no_image_is_refused():
    with pytest.raises(InputError, match=r"^Contrast: expected images \(\.\.\., channel, height, width\)"):
        Contrast(pixels=32)(torch.zeros(32, 32))
