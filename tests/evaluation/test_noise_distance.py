import pytest
import torch
from torch import nn

from withstand.data.base import TensorSplit
from withstand.engine import Engine
from withstand.evaluation.noise_distance import MAX_LOOKS, NoiseDistance, draw_directions, find_distances
from withstand.functional.random import RowStreams

BOX = (0.0, 1.0)


class Plane(nn.Module):
    """Two classes on the sides of a plane: the first where weights x + bias > 0."""

    def __init__(self, weights, bias):
        super().__init__()
        self.weights, self.bias, self.seen = weights, bias, 0

    def forward(self, x):
        self.seen = self.seen + torch.ones(len(x)).sum()
        score = x.flatten(1) @ self.weights + self.bias
        return torch.stack([score, -score], dim=1)


def example(num_rows=200, size=20):
    generator = torch.Generator().manual_seed(0)
    weights = torch.randn(size, generator=generator)
    x, direction = (torch.randn((num_rows, size), generator=generator) for _ in range(2))
    return Plane(weights, 0.3), x, direction


@pytest.mark.parametrize("precision", [1e-1, 1e-3])
def test_distances_to_a_plane_are_those_of_geometry(precision):
    plane, x, direction = example()
    y = plane(x).argmax(1)
    score, speed = x @ plane.weights + 0.3, direction @ plane.weights / direction.norm(dim=1)
    exact = torch.where(score * speed < 0, -score / speed, torch.inf)
    found = find_distances(plane, x, y, direction, radius=4.0, box=None, precision=precision)
    never = exact > 128 * 4.0
    assert torch.equal(found.isinf(), never)
    close = exact > 4e-3
    assert (found[close & ~never] >= exact[close & ~never] * (1 - 1e-5)).all()
    assert (found[close & ~never] <= exact[close & ~never] * (1 + precision + 1e-5)).all()
    assert (found[~close] <= 4e-3).all()


def test_wrong_samples_are_at_0_and_the_model_sees_a_row_at_most_25_times():
    plane, x, direction = example()
    y = 1 - plane(x).argmax(1)
    assert (find_distances(plane, x, y, direction, radius=4.0, box=None, precision=1e-3) == 0).all()
    for row in range(40):
        plane.seen = 0
        one = slice(row, row + 1)
        find_distances(plane, x[one], 1 - y[one], direction[one], radius=4.0, box=None, precision=1e-3)
        assert plane.seen <= MAX_LOOKS


def test_distances_are_those_after_clipping():
    # The only way out is one value that rises by 0.4; the others meet the wall and add to the distance.
    plane = Plane(torch.tensor([-1.0, 0.0, 0.0]), 0.6)
    x, direction = torch.tensor([[0.2, 0.9, 0.9]]), torch.tensor([[1.0, 1.0, 1.0]])
    found = find_distances(plane, x, torch.tensor([0]), direction, radius=1.0, box=BOX, precision=1e-4)
    assert found.item() == pytest.approx((0.4**2 + 2 * 0.1**2) ** 0.5, rel=1e-3)


def test_who_is_right_at_the_walls_is_never_fooled():
    plane = Plane(torch.tensor([-1.0, 0.0]), 1.5)
    found = find_distances(
        plane, torch.tensor([[0.2, 0.5]]), torch.tensor([0]), torch.ones(1, 2), radius=1.0, box=BOX, precision=1e-3
    )
    assert found.isinf().all()


def split_of(x, y):
    return TensorSplit(x, y, classes=("a", "b"), box=None)


@pytest.fixture
def values_of(measured):
    """A function that returns the values of the distances of a model by condition and measure."""

    def found(model, split, **fields):
        rows = measured(NoiseDistance(radius=4.0, steps=200, lr=0.05, **fields), model, split, engine=Engine())
        return {(condition, measure): row.value for (measure, condition), row in rows.items()}

    return found


def test_the_rows_are_the_median_the_share_never_fooled_and_the_accuracy_at_the_radius(values_of):
    plane, x, _ = example(num_rows=501)
    y = plane(x).argmax(1)
    y[:60] = 1 - y[:60]  # wrong without noise: below the median
    values = values_of(plane, split_of(x, y), noises=("gaussian",))
    direction = draw_directions(x, "gaussian", None, RowStreams(0, torch.arange(501)))
    exact = find_distances(plane, x, y, direction, radius=4.0, box=None, precision=1e-3)
    assert values["gaussian noise", "never_fooled"] == pytest.approx(exact.isinf().double().mean().item())
    assert values["gaussian noise", "noise_distance"] == pytest.approx(exact.sort().values[250].item(), rel=1e-6)
    moved = x + 4.0 * direction / direction.norm(dim=1, keepdim=True)
    right = (plane(moved).argmax(1) == y).double().mean().item()
    assert values["gaussian noise", "top1_at_radius"] == pytest.approx(right)


def test_the_median_has_no_end_where_most_samples_are_never_fooled(values_of):
    plane, x, _ = example(num_rows=100)
    y = plane(x).argmax(1)
    far = Plane(plane.weights * 0, 1.0)
    values = values_of(far, split_of(x, y * 0), noises=("gaussian",))
    assert values == {
        ("gaussian noise", "noise_distance"): float("inf"),
        ("gaussian noise", "never_fooled"): 1.0,
        ("gaussian noise", "top1_at_radius"): 1.0,
    }


def test_a_trained_generator_fools_from_nearer_than_gaussian_noise(values_of):
    generator = torch.Generator().manual_seed(0)
    # Class 1 is all bright, class 0 all dark: noise that shifts everything alike is the worst.
    y = torch.arange(200) % 2
    x = (0.3 + 0.4 * y[:, None, None, None] + 0.05 * torch.randn((200, 1, 8, 8), generator=generator)).clamp(0, 1)
    plane = Plane(-torch.ones(64), 32.0)
    split = TensorSplit(x, y, classes=("a", "b"), box=BOX)
    values = values_of(plane, split, noises=("gaussian", "adversarial"))
    never = {name: values[name, "never_fooled"] for name in ("gaussian noise", "adversarial noise 1x1 200 steps")}
    at_radius = {name: values[name, "top1_at_radius"] for name in never}
    assert at_radius["adversarial noise 1x1 200 steps"] < at_radius["gaussian noise"]


def test_the_outcomes_follow_from_the_generator_that_is_given(tiny_split, tiny_model):
    evaluation = NoiseDistance(noises=("adversarial",), radius=2.0, steps=3, batch_size=8)
    whole = evaluation.measure(tiny_model, tiny_split, seed=0, engine=Engine())
    options = {"space": tiny_split.space, "seed": 0, "engine": Engine()}
    generator = evaluation.train_generator(tiny_model, tiny_split, **options)
    x, y, number = next(iter(tiny_split.batches([torch.arange(20)])))[:3]
    rng = RowStreams(0, number)
    found = evaluation.outcomes(tiny_model, x, y, space=tiny_split.space, state=generator, rng=rng)
    (condition,) = evaluation.conditions
    assert torch.equal(found[condition]["distance"], whole.columns[condition]["distance"])
    assert whole.columns[condition]["distance"].unique().numel() > 3


def test_a_generator_is_trained_on_the_samples_that_are_given_for_it(tiny_split, tiny_model):
    evaluation = NoiseDistance(noises=("adversarial",), radius=2.0, steps=3, batch_size=8, lr=0.05)
    bright = TensorSplit(255 - tiny_split.x, tiny_split.y, classes=tiny_split.classes, box=BOX)
    (condition,) = evaluation.conditions
    one, other = (
        evaluation.measure(tiny_model, tiny_split, seed=0, engine=Engine(), fit_on=each).columns[condition]
        for each in (None, bright)
    )
    assert not torch.equal(one["distance"], other["distance"])
