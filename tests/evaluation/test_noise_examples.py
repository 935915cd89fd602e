import numpy as np
import pytest
import torch

from withstand.data.base import TensorSplit
from withstand.engine import Engine
from withstand.errors import InputError
from withstand.evaluation import noise_examples
from withstand.evaluation.noise_distance import NoiseDistance, draw_directions
from withstand.evaluation.noise_examples import draw_examples
from withstand.functional.random import RowStreams, stream
from withstand.functional.sphere import move_to_distance
from withstand.models.noise_generator import NoiseGenerator

BOX = (0.0, 1.0)
EVALUATION = NoiseDistance(noises=("adversarial",), radius=3.0, kernel="3x3")


@pytest.fixture(autouse=True)
def _fewer_pixels(monkeypatch):
    monkeypatch.setattr(noise_examples, "NUM_PIXELS", 2**15)


def generator(scale=1.0):
    found = NoiseGenerator((3, 8, 8), kernel="3x3", rng=stream(0, "test"))
    with torch.no_grad():
        for each in found.parameters():
            each.mul_(scale)
    return found.requires_grad_(False)


def drawn(split, *, seed=0, scale=30.0, **options):
    return draw_examples(EVALUATION, generator(scale), split, seed=seed, engine=Engine(), **options)


def arrays(examples):
    return [examples.images, *examples.gaussian, *examples.learned, examples.edges, examples.density]


def test_the_same_seed_gives_the_same_picture_and_another_one_another(tiny_split, untouched_generators):
    with untouched_generators():
        first, again, other = drawn(tiny_split), drawn(tiny_split), drawn(tiny_split, seed=1)
    assert all(np.array_equal(one, two) for one, two in zip(arrays(first), arrays(again), strict=True))
    assert not np.array_equal(first.learned.moved, other.learned.moved)
    assert np.array_equal(first.images, other.images)


def test_images_are_at_the_radius_under_the_noise_that_the_measurement_met(tiny_split):
    found = drawn(tiny_split, num_images=4)
    assert found.condition == "adversarial noise 3x3"
    x, _, number = next(iter(tiny_split.batches([torch.tensor([0, 6, 13, 19])])))[:3]
    assert np.array_equal(found.images, x.permute(0, 2, 3, 1).numpy())
    for noise, own in (("gaussian", found.gaussian), ("adversarial", found.learned)):
        direction = draw_directions(x, noise, generator(30.0), RowStreams(0, number))
        moved = move_to_distance(x, direction, 3.0, box=BOX).permute(0, 2, 3, 1).numpy()
        assert np.array_equal(own.moved, moved)
        assert np.linalg.norm((own.moved - found.images).reshape(4, -1), axis=1) == pytest.approx([3.0] * 4, rel=1e-5)
        assert np.linalg.norm(own.noise.reshape(4, -1), axis=1) == pytest.approx([3.0] * 4, rel=1e-5)
        assert own.moved.min() >= 0
        assert own.moved.max() <= 1


def test_the_density_of_a_fresh_generator_is_nearly_that_of_gaussian_noise(tiny_split):
    found = drawn(tiny_split, scale=1.0)
    width, middles = np.diff(found.edges), (found.edges[1:] + found.edges[:-1]) / 2
    assert found.std == pytest.approx(3.0 / 192**0.5)
    assert (found.density * width).sum(axis=1) == pytest.approx([1.0] * 3)
    normal = np.exp(-((middles / found.std) ** 2) / 2) / (found.std * (2 * np.pi) ** 0.5)
    assert np.abs(found.density - normal).max() < 0.05 * normal.max()


def test_there_are_no_more_images_than_samples(tiny_split):
    assert len(drawn(tiny_split.select(torch.arange(2)), num_images=3).images) == 2


@pytest.mark.parametrize("shape", [(8,), (2, 8, 8)])
def test_what_has_no_picture_is_refused(shape):
    split = TensorSplit(torch.zeros(3, *shape), torch.zeros(3), classes=("a",), box=None)
    with pytest.raises(InputError, match=r"^figures: noise is shown on images of 1 or 3 channels, got inputs of shape"):
        drawn(split)
