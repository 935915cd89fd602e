"""Perturbations outside the package's loops: as transforms."""

import numpy as np
import pytest
import torch
from PIL import Image

import withstand as ws
from withstand.configuration import discover
from withstand.errors import InputError
from withstand.functional.random import stream
from withstand.perturbations.base import Perturbation
from withstand.perturbations.corruptions.imagenet_c.contrast import Contrast
from withstand.perturbations.corruptions.imagenet_c.gaussian_noise import GaussianNoise
from withstand.perturbations.gaussian import Gaussian
from withstand.perturbations.imagenet_c import ImageNetC
from withstand.perturbations.mixing import mixes


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


EXAMPLES = [each for cls in discover(Perturbation) for each in cls.examples()]
PHOTO = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)


@pytest.mark.parametrize("perturbation", EXAMPLES, ids=lambda each: each.condition)
def test_every_perturbation_is_a_transform_or_says_that_it_needs_a_model(perturbation):
    if type(perturbation).__module__.startswith("withstand.perturbations.attacks") and not isinstance(
        perturbation, ws.Vertices
    ):
        with pytest.raises(InputError, match=rf"^{type(perturbation).__name__}: .* without a model; use ws.attack"):
            perturbation(PHOTO, seed=0)
        return
    if mixes(perturbation):
        with pytest.raises(InputError, match=f"^{type(perturbation).__name__}.* use it in training"):
            perturbation(PHOTO, seed=0)
        return
    if isinstance(perturbation, ws.SmoothedByDamage):
        with pytest.raises(InputError, match=r"^SmoothedByDamage: expected data with at least 2 classes"):
            perturbation(PHOTO, seed=0)
        return
    if perturbation.tables_only:
        with pytest.raises(InputError, match=f"^{type(perturbation).__name__}: inputs must be rows of a table"):
            perturbation(PHOTO, seed=0)
        return
    made = perturbation(PHOTO, seed=0)
    assert made.shape == PHOTO.shape
    assert made.dtype == np.uint8
    assert np.array_equal(perturbation(PHOTO, seed=0), made)
    assert np.array_equal(np.asarray(perturbation(Image.fromarray(PHOTO), seed=0)), made)


def test_in_a_mixture_with_an_attack_no_image_passes():
    half = ws.Mixture(parts=(ws.Identity(), ws.PGD()))
    for seed in range(8):
        with pytest.raises(InputError, match=r"^Mixture: .* without a model"):
            half(PHOTO, seed=seed)


@pytest.mark.parametrize(
    "perturbation", [ws.GlassBlur(pixels=32), ws.Gaussian(std=0.2), ws.ImageNetC(frost="procedural")]
)
def test_a_seed_and_an_index_give_the_image_of_an_evaluation(perturbation):
    batch = np.stack([PHOTO] * 4)
    together = perturbation(batch, seed=5, index=[7, 3, 9, 0])
    assert np.array_equal(perturbation(PHOTO, seed=5, index=9), together[2])
    assert np.array_equal(perturbation(PHOTO, seed=5), together[3])
    assert np.array_equal(perturbation(batch, seed=5)[3], together[1])
    seen = []

    class Seen(torch.nn.Module):
        def forward(self, x):
            seen.extend(x)
            return torch.zeros(len(x), 2)

    pairs = [(torch.from_numpy(PHOTO.transpose(2, 0, 1).copy()), number % 2) for number in range(4)]
    if isinstance(perturbation, ws.ImageNetC):  # is every cell there
        return
    ws.evaluate(Seen(), pairs, on=perturbation, seed=5, device="cpu")
    evaluated = [(each * 255).round().byte().permute(1, 2, 0).numpy() for each in seen]
    own = perturbation(PHOTO.astype(np.float32) / 255, seed=5, index=2)
    assert any(np.array_equal((own * 255).round().astype(np.uint8), each) for each in evaluated)


def test_wrong_seeds_and_indices_are_refused():
    for options, words in (
        ({"seed": -1}, "seed must be at least 0"),
        ({"seed": 0, "index": [1, 2]}, "index: expected 1 whole numbers"),
        ({"index": 1}, "index: expected a seed"),
        ({"seed": 0, "rng": stream(0, "a")}, "seed and index, or rng"),
    ):
        with pytest.raises(InputError, match=f"^Contrast: .*{words}"):
            Contrast(pixels=32)(PHOTO, **options)


def test_images_of_torchvision_stay_what_they_are():
    tv_tensors = pytest.importorskip("torchvision.tv_tensors", exc_type=(ImportError, RuntimeError))
    image = tv_tensors.Image(torch.from_numpy(PHOTO.transpose(2, 0, 1).copy()))
    assert isinstance(Contrast(pixels=32)(image), tv_tensors.Image)
