from typing import get_args

import pytest
import torch

from withstand.data.tables.toy import SETTINGS, Shape, Toy
from withstand.errors import InputError

PUBLISHED = {
    "two_gaussians": (1000, 40),
    "doughnut": (1000, 300),
    "two_moons": (2000, 3000),
    "saw": (2000, 3000),
    "mix": (2000, 3000),
}


def points(shape, part="train", **fields):
    split = Toy(shape=shape, **({"validation": 0.0} | fields)).load(part)
    return split.x, split.y


def line(across):
    """Return the height of the saw: up, down, up."""
    return torch.where(across < 1, across, torch.where(across < 2, 2 - across, across - 2))


@pytest.mark.parametrize("shape", get_args(Shape))
def test_numbers_of_points_are_the_published_ones_or_those_asked_for(shape):
    toy = Toy(shape=shape)
    num_train, num_test = PUBLISHED[shape]
    assert len(toy.load("train")) + len(toy.load("validation")) == num_train
    assert len(toy.load("validation")) == pytest.approx(num_train / 10, abs=1)
    assert len(toy.load("test")) == num_test
    small = Toy(shape=shape, num_train=31, num_test=17)
    assert len(small.load("train")) + len(small.load("validation")) == 31
    assert len(small.load("test")) == 17


@pytest.mark.parametrize("shape", get_args(Shape))
def test_half_of_the_points_are_in_each_class(shape):
    _, y = points(shape)
    assert float(y.double().mean()) == pytest.approx(0.5, abs=0.05 if shape == "two_moons" else 0)


@pytest.mark.parametrize("shape", get_args(Shape))
def test_points_depend_on_the_seed_alone(shape, untouched_generators):
    with untouched_generators():
        x, y = points(shape)
        assert all(torch.equal(one, other) for one, other in zip(points(shape), (x, y), strict=True))
    assert not torch.equal(points(shape, seed=1)[0], x)
    assert not torch.equal(points(shape, "test", num_test=len(x))[0], x)
    test, _ = points(shape, "test", num_test=50)
    assert torch.equal(points(shape, "test", num_test=50, num_train=77)[0], test)


@pytest.mark.parametrize("shape", get_args(Shape))
def test_inputs_are_unscaled_and_free_to_move(shape):
    split = Toy(shape=shape).load("test")
    assert split.box is None
    assert split.x.dtype == torch.float32
    assert split.features.names == ("x1", "x2")
    assert split.features.movable == (True, True)
    assert split.features.scale == (1.0, 1.0)
    x, _ = points(shape, validation=0.1)
    low, high = x.quantile(torch.tensor([0.25, 0.75]), dim=0)
    assert torch.allclose(torch.tensor(split.features.iqr), high - low)
    assert split.features == Toy(shape=shape).load("train").features


def test_two_gaussians_lie_around_their_centres():
    x, y = points("two_gaussians", num_train=20_000)
    for label in (0, 1):
        assert torch.allclose(x[y == label].mean(0), torch.tensor(float(label)), atol=0.02)
        assert torch.allclose(x[y == label].std(0), torch.tensor(0.5), atol=0.02)


def test_the_middle_of_the_doughnut_is_class_1():
    x, y = points("doughnut", noise=0.0)
    assert torch.allclose(x.norm(dim=1), 2.0 * (1 - y))
    x, y = points("doughnut", num_train=20_000)
    assert torch.allclose(x[y == 1].std(0), torch.tensor(0.3), atol=0.02)
    assert torch.allclose(x[y == 0].mean(0), torch.tensor(0.0), atol=0.05)


def test_the_upper_half_of_the_circle_is_moved():
    x, y = points("two_moons", noise=0.0)
    centre = y[:, None] * torch.tensor([2.0, -1.0])
    assert torch.allclose((x - centre).norm(dim=1), torch.tensor(2.0))
    assert torch.equal((x - centre)[:, 1] > 0, y == 1)
    x, y = points("two_moons")
    assert x[y == 0, 1].max() <= 0
    assert x[y == 1, 1].min() > -1


def test_the_teeth_of_the_saw_are_1_apart():
    x, y = points("saw", noise=0.0)
    assert torch.allclose(x[:, 1], line(x[:, 0]) + y, atol=1e-6)
    assert x[:, 0].min() >= 0
    assert x[:, 0].max() < 3
    assert x[:, 0].mean() == pytest.approx(1.5, abs=0.1)


def test_the_cloud_of_the_mix_is_three_times_as_noisy_as_the_line():
    x, y = points("mix", num_train=20_000)
    assert torch.allclose(x[y == 1].mean(0), torch.tensor(1.5), atol=0.02)
    assert torch.allclose(x[y == 1].std(0), torch.tensor(0.15), atol=0.01)
    x, y = points("mix", noise=0.0)
    assert torch.allclose(x[y == 0, 1], line(x[y == 0, 0]), atol=1e-6)


def test_classes_have_names():
    assert all(len(set(settings.classes)) == 2 for settings in SETTINGS.values())


def test_too_few_points_for_training_are_refused():
    with pytest.raises(InputError, match=r"Toy: 10 points and validation 0.95 leave a class none for training"):
        Toy(shape="saw", num_train=10, validation=0.95).load("train")
