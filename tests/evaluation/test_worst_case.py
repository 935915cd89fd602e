import copy
import itertools

import pytest
import torch
from torch import nn

from withstand.data.base import TensorSplit
from withstand.engine import Engine
from withstand.errors import InputError
from withstand.evaluation.recall import Recall
from withstand.evaluation.worst_case import WorstCase
from withstand.functional.random import RowStreams
from withstand.perturbations.ball import Ball
from withstand.perturbations.uniform import Uniform

ENGINE = Engine()
FEATURES = 4


def table(num: int = 120) -> TensorSplit:
    x = torch.randn(num, FEATURES, generator=torch.Generator().manual_seed(1))
    y = (x[:, 0] + 0.5 * x[:, 1] > 0).long() + (x[:, 2] > 1).long()
    return TensorSplit(x, y, classes=("a", "b", "c"), box=None)


def network() -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)
        model = nn.Sequential(nn.Linear(FEATURES, 32), nn.ReLU(), nn.Linear(32, 3))
        split = table()
        optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
        for _ in range(150):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(split.x), split.y).backward()
            optimizer.step()
    return model


@pytest.fixture
def values(measured):
    """A function that returns the values of an evaluation by measure."""

    def found(evaluation, model, split=None) -> dict[str, float]:
        rows = measured(evaluation, model, split or table(), engine=ENGINE)
        return {measure: row.value for (measure, _), row in rows.items()}

    return found


def test_a_linear_model_has_the_worst_case_of_its_margins(values):
    # Two classes: a row is safe if its margin exceeds the radius times the l1 norm of the difference of the weights.
    split = table()
    split = TensorSplit(split.x, (split.x[:, 0] > 0).long(), classes=("a", "b"), box=None)
    model = nn.Linear(FEATURES, 2)
    with torch.no_grad():
        model.weight.copy_(torch.tensor([[-1.0, 0.2, 0.0, 0.1], [1.0, -0.1, 0.3, 0.0]]))
        model.bias.zero_()
        logits = model(split.x)
        margin = (logits[:, 1] - logits[:, 0]) * (2 * split.y - 1)
        reach = (model.weight[1] - model.weight[0]).abs().sum()
    for radius, scale in ((0.05, 1.0), (0.2, 1.0), (0.4, 1.0), (0.4, 1e3)):
        wanted = (margin > radius * reach).float().mean().item()
        confident = copy.deepcopy(model)
        with torch.no_grad():
            confident.weight.mul_(scale)
        for attacks in ({"steps": 10, "vertices": False}, {"steps": 0}):
            found = values(WorstCase(ball=Ball("linf", radius), num_tilted=0, **attacks), confident, split)
            assert found["worst_case_top1"] == pytest.approx(wanted, abs=1e-6)


def test_no_attack_of_the_union_and_no_uniform_point_finds_more(values):
    model, split, ball = network(), table(), Ball("linf", 0.3)
    whole = values(WorstCase(ball=ball), model)
    for attacks in (
        {"steps": 0, "num_tilted": 0},
        {"vertices": False, "num_tilted": 0},
        {"steps": 0, "vertices": False},
    ):
        assert whole["worst_case_top1"] <= values(WorstCase(ball=ball, num_mean=0, **attacks), model)["worst_case_top1"]
    assert whole["worst_case_top1"] <= whole["adversarial_top1"] <= whole["mean_top1"] + 0.05
    rng = RowStreams(0, torch.arange(len(split)))
    draws = Uniform(ball=ball).draw(split.x, split.y, model, space=split.space, num_draws=2000, rng=rng).inputs
    with torch.no_grad():
        right = (model(draws.flatten(0, 1)).argmax(1).view(2000, -1) == split.y).all(0)
        mean = (model(draws.flatten(0, 1)).argmax(1).view(2000, -1) == split.y).float().mean()
    assert whole["worst_case_top1"] <= right.float().mean().item()
    assert whole["mean_top1"] == pytest.approx(mean.item(), abs=0.01)


def test_a_ball_without_extent_gives_the_clean_accuracy(values):
    model, split = network(), table()
    clean = (model(split.x).argmax(1) == split.y).float().mean().item()
    for norm in ("l1", "l2", "linf"):
        found = values(WorstCase(ball=Ball(norm, 0.0), steps=2), model)
        assert list(found.values()) == pytest.approx([clean] * 3)


def test_a_larger_ball_is_no_safer(values):
    model = network()
    for norm in ("l1", "l2", "linf"):
        found = [values(WorstCase(ball=Ball(norm, radius)), model)["worst_case_top1"] for radius in (0.1, 0.3, 0.6)]
        assert found[0] >= found[1] >= found[2]
        assert found[0] > found[2]


def test_the_condition_names_the_ball_and_what_was_spent():
    usual = WorstCase(ball=Ball("linf", 0.1))
    assert usual.conditions == ("linf 0.1, PGD-40 x 3 + vertices + 64 tilted",)
    budgets = {each.name: each.budget for each in usual.measures}
    assert budgets == {
        "worst_case_top1": "PGD-40 x 3 + vertices + 64 tilted",
        "adversarial_top1": "PGD-40 x 3",
        "mean_top1": "256 points",
    }
    # 2^12 vertices are the most that are tried; where there are more, the condition says that none were.
    splits = [TensorSplit(torch.zeros(2, n), torch.arange(2), classes=("a", "b"), box=None) for n in (12, 13)]
    few, many = (usual.adapted(each).conditions[0] for each in splits)
    assert (few, many) == ("linf 0.1, PGD-40 x 3 + vertices + 64 tilted", "linf 0.1, PGD-40 x 3 + 64 tilted")
    assert WorstCase(ball=Ball("l2", 0.1, unit="raw"), num_mean=0).conditions == ("l2 0.1 raw, PGD-40 x 3",)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"steps": 0, "vertices": False, "num_tilted": 0}, "expected at least one attack on an linf ball"),
        ({"steps": 0, "ball": Ball("l2", 0.1)}, "expected at least one attack on an l2 ball"),
        ({"steps": 0, "vertices": False, "ball": Ball("l1", 0.1)}, "expected at least one attack on an l1 ball"),
    ],
)
def test_what_cannot_be_measured_is_refused(fields, message):
    with pytest.raises(InputError, match=f"^WorstCase: {message}"):
        WorstCase(**fields)


def test_recalls_are_the_accuracies_of_the_classes_and_their_mean_is_balanced(values):
    model, split = network(), table()
    right = model(split.x).argmax(1) == split.y
    wanted = [right[split.y == k].float().mean().item() for k in range(3)]
    found = values(Recall(), model)
    assert [found[f"recall {name}"] for name in "abc"] == pytest.approx(wanted)
    assert found["balanced_top1"] == pytest.approx(sum(wanted) / 3)
    without = split.select((split.y != 1).nonzero()[:, 0])
    found = values(Recall(), model, without)
    assert "recall b" not in found
    assert found["balanced_top1"] == pytest.approx((wanted[0] + wanted[2]) / 2)


def test_the_batch_size_changes_no_answer():
    model, evaluation = network(), WorstCase(ball=Ball("linf", 0.25), steps=5, num_mean=8)
    found = [evaluation.measure(model, table(), seed=3, engine=Engine(batch_size=size)) for size in (7, 50, 120)]
    for one, other in itertools.pairwise(each.columns[evaluation.conditions[0]] for each in found):
        # A place on a boundary falls on one side or the other by rounding.
        assert sum((one[name] != other[name]).sum().item() for name in ("correct", "adversarial")) <= 1
        assert (one["mean"] - other["mean"]).abs().sum() <= 1 / 8


def test_the_worst_case_of_no_attack_is_refused(values):
    split = TensorSplit(torch.zeros(4, 13), torch.arange(4) % 2, classes=("a", "b"), box=None)
    evaluation = WorstCase(ball=Ball("linf", 0.1), steps=0, num_tilted=0)
    with pytest.raises(InputError, match="more than 4,096 vertices around inputs of shape"):
        values(evaluation, nn.Linear(13, 2), split)


def test_features_that_all_stay_give_the_clean_accuracy(values):
    model, split = network(), table()
    clean = (model(split.x).argmax(1) == split.y).float().mean().item()
    for norm in ("l1", "l2", "linf"):
        found = values(WorstCase(ball=Ball(norm, (0.0,) * FEATURES), steps=2), model)
        assert list(found.values()) == pytest.approx([clean] * 3)


def test_different_balls_have_different_conditions():
    balls = [Ball("linf", radius) for radius in (0.1, (0.1, 0.0), (0.1, 0.2), (0.1,) * 50, (0.2,) * 50)]
    balls.append(Ball("linf", (0.1, 0.0), unit="raw"))
    evaluations = [WorstCase(ball=each) for each in balls]
    assert len({each.conditions for each in evaluations}) == len(balls)
    assert evaluations[1].where == "linf [0.1 0]"
