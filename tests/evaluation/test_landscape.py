import numpy as np
import pytest
import torch
from torch import nn

from withstand.data.base import TensorSplit
from withstand.data.tables.features import fit_features
from withstand.data.tables.toy import Toy
from withstand.engine import Engine
from withstand.evaluation import landscape
from withstand.evaluation.landscape import draw_landscape, has_landscape
from withstand.evaluation.worst_case import WorstCase
from withstand.models.mlp import MLP
from withstand.perturbations.ball import Ball

OFFSET, SCALE = torch.tensor([100.0, -3.0]), torch.tensor([10.0, 0.5])
ENGINE = Engine(batch_size=7)
ATTACK = WorstCase(balls=(Ball("linf", 0.2),), budget="quick", num_mean=4)


def table(num=60, classes=("a", "b", "c")):
    """A table whose inputs are scaled: value = input * scale + offset."""
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(num, 2, generator=generator)
    known = fit_features(("width", "height"), x)._replace(offset=tuple(OFFSET.tolist()), scale=tuple(SCALE.tolist()))
    y = torch.randint(0, len(classes), (num,), generator=generator)
    return TensorSplit(x, y, classes=classes, box=None, numbers=torch.arange(num) * 3 + 1, features=known)


def network(num_classes=3):
    return MLP(hidden=(8,)).build((2,), num_classes, seed=0)


def drawn(split, model=None, *, attack=None, **options):
    return draw_landscape(model or network(), split, attack=attack, seed=0, engine=ENGINE, num_ticks=9, **options)


def test_the_grid_has_room_for_all_points_and_the_balls_around_them(monkeypatch):
    monkeypatch.setattr(landscape, "MOST_POINTS", 10)
    split = table()
    for attack, reach in ((None, 0.0), (ATTACK, 0.2)):
        found = drawn(split, attack=attack)
        assert (len(found.points), found.num_points) == (10, 60)
        values = (split.x * SCALE + OFFSET).numpy()
        for feature, ticks in enumerate((found.plane.first, found.plane.second)):
            assert len(ticks) == 9
            assert (np.diff(ticks) > 0).all()
            assert ticks[0] < values[:, feature].min() - reach * SCALE[feature].item()
            assert ticks[-1] > values[:, feature].max() + reach * SCALE[feature].item()


@pytest.mark.slow
def test_points_and_balls_are_in_the_units_of_the_file():
    split = table()
    found = drawn(split, attack=ATTACK)
    assert np.allclose(found.points, (split.x * SCALE + OFFSET).numpy())
    assert np.array_equal(found.labels, split.y.numpy())
    assert found.plane.names == ("width", "height")
    assert found.ball is not None
    assert found.ball.radii == pytest.approx((2.0, 0.1))
    raw = WorstCase(balls=(Ball("l2", 0.3, unit="raw"),), budget="quick", num_mean=0)
    ball = drawn(split, attack=raw).ball
    assert (ball.where, ball.norm, ball.radii) == ("l2 0.3 raw", "l2", pytest.approx((0.3, 0.3)))


def test_classes_and_probabilities_are_those_of_the_model_at_every_point_of_the_grid():
    model = network()
    found = drawn(table(), model)
    second, first = np.meshgrid(found.plane.second, found.plane.first, indexing="ij")
    grid = torch.from_numpy(np.stack([first, second], axis=2)).float()
    with torch.no_grad():
        logits = model((grid - OFFSET) / SCALE)
    highest = logits.sort(2).values
    assert np.array_equal(found.predicted, logits.argmax(2).numpy())
    assert len(np.unique(found.predicted)) > 1
    assert np.allclose(found.confidence, logits.softmax(2).amax(2).numpy(), atol=1e-4)
    assert np.allclose(found.margin, (highest[..., -1] - highest[..., -2]).numpy(), atol=1e-3)


def test_points_are_right_where_the_measurement_says_so():
    split, model = table(), network()
    found = drawn(split, model, attack=ATTACK)
    (name,) = ATTACK.adapted(split).conditions
    outcomes = ATTACK.measure(model, split, seed=0, engine=ENGINE).columns[name]
    assert found.ball is not None
    assert np.array_equal(found.ball.right, outcomes["correct"].numpy())
    assert found.ball.right.sum() < found.right.sum()
    assert not (found.ball.right & ~found.right).any()
    with torch.no_grad():
        assert np.array_equal(found.right, (model(split.x).argmax(1) == split.y).numpy())


def test_nothing_is_changed_and_the_batch_size_decides_nothing(untouched_generators):
    model = network()
    model.train()
    before = {name: each.clone() for name, each in model.state_dict().items()}
    with untouched_generators():
        found = drawn(table(), model, attack=ATTACK)
    assert model.training
    assert all(torch.equal(each, before[name]) for name, each in model.state_dict().items())
    other = draw_landscape(model, table(), attack=ATTACK, seed=0, engine=Engine(), num_ticks=9)
    assert found.is_beside(other)
    assert np.array_equal(found.predicted, other.predicted)
    assert np.array_equal(found.ball.right, other.ball.right)


def test_a_model_without_numbers_and_a_feature_without_spread_give_a_picture_too():
    class Broken(nn.Module):
        def forward(self, x):
            return torch.full((len(x), 3), float("nan"))

    split = table()
    split.x[:, 1] = 1.0
    found = drawn(split, Broken())
    assert np.allclose(found.confidence, 1 / 3)
    assert not found.right.any()
    assert found.plane.second[0] < found.plane.second[-1]


def test_only_two_numbers_have_a_landscape(tiny_split):
    assert has_landscape(table())
    assert has_landscape(Toy(num_test=4).load("test"))
    assert not has_landscape(tiny_split)
    three = torch.zeros(4, 3)
    assert not has_landscape(TensorSplit(three, torch.zeros(4).long(), classes=("a", "b"), box=None))
    levels = table()
    levels.features = levels.features._replace(kinds=("category", "category"))
    assert not has_landscape(levels)
