"""Worst-case accuracy against closed forms, single attacks and random points."""

import copy
import itertools

import pytest
import torch
from torch import nn

from withstand.data.base import TensorSplit
from withstand.engine import Engine
from withstand.evaluation.worst_case import WorstCase
from withstand.functional.random import RowStreams
from withstand.perturbations.attacks.apgd import APGD
from withstand.perturbations.attacks.budgets import attacks_of
from withstand.perturbations.attacks.sampled import Sampled
from withstand.perturbations.ball import Ball
from withstand.perturbations.uniform import Uniform

ENGINE = Engine()
FEATURES = 4
ACCURACIES = ("worst_case_top1", "adversarial_top1", "mean_top1")


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
    for radius, scale in ((0.05, 1.0), (0.4, 1.0), (0.4, 1e3)):
        wanted = (margin > radius * reach).float().mean().item()
        confident = copy.deepcopy(model)
        with torch.no_grad():
            confident.weight.mul_(scale)
        for budget in ("quick", "standard"):
            found = values(WorstCase(balls=(Ball("linf", radius),), budget=budget, num_mean=0), confident, split)
            assert found["worst_case_top1"] == pytest.approx(wanted, abs=1e-6)


@pytest.mark.slow
def test_no_attack_alone_and_no_uniform_point_finds_more(values):
    model, split, ball = network(), table(), Ball("linf", 0.3)
    whole = values(WorstCase(balls=(ball,)), model)
    for attack in attacks_of("standard", ball, num_classes=3):
        alone = values(WorstCase(balls=(ball,), attacks=(attack,), num_mean=0), model)
        assert whole["worst_case_top1"] <= alone["worst_case_top1"] + 1 / len(split)
    assert whole["worst_case_top1"] <= whole["adversarial_top1"] <= whole["mean_top1"] + 0.05
    rng = RowStreams(0, torch.arange(len(split)))
    draws = Uniform(ball=ball).draw(split.x, split.y, model, space=split.space, num_draws=2000, rng=rng).inputs
    with torch.no_grad():
        right = (model(draws.flatten(0, 1)).argmax(1).view(2000, -1) == split.y).all(0)
        mean = (model(draws.flatten(0, 1)).argmax(1).view(2000, -1) == split.y).float().mean()
    assert whole["worst_case_top1"] <= right.float().mean().item()
    assert whole["mean_top1"] == pytest.approx(mean.item(), abs=0.01)


def test_what_is_found_in_one_ball_counts_for_every_ball_that_holds_it():
    model, split, sampled = network(), table(), Sampled(perturbation=Uniform(), num_draws=1)
    balls = tuple(Ball(norm, radius) for radius in (0.2, 0.3, 0.4) for norm in ("linf", "l2"))
    evaluation = WorstCase(balls=balls, attacks=(sampled,), num_mean=0)
    found = evaluation.measure(model, split, seed=0, engine=ENGINE).columns
    right = {ball: found[name]["correct"] for ball, name in zip(balls, evaluation.conditions, strict=True)}
    for one, other in itertools.product(balls, balls):
        inside = one.radius <= other.radius and (one.norm, other.norm) != ("linf", "l2")
        if inside:
            assert not (right[other] & ~right[one]).any()
    alone = [WorstCase(balls=(each,), attacks=(sampled,), num_mean=0) for each in balls]
    each = [own.measure(model, split, seed=0, engine=ENGINE).columns[own.conditions[0]]["correct"] for own in alone]
    assert all(bool((~one | other).all()) for one, other in zip(right.values(), each, strict=True))
    assert sum(int(own.sum()) for own in each) > sum(int(own.sum()) for own in right.values())


def test_outcomes_say_how_far_what_is_wrong_lies_which_attack_found_it_and_what_it_cost():
    model, split, ball = network(), table(), Ball("l2", 0.4)
    split.y[:5] = (split.y[:5] + 1) % 3
    evaluation = WorstCase(balls=(ball,), attacks=(APGD(steps=1), APGD(steps=30)), num_mean=0)
    (columns,) = evaluation.measure(model, split, seed=0, engine=ENGINE).columns.values()
    clean = model(split.x).argmax(1) == split.y
    by, right = columns["broken_by"], columns["correct"]
    assert set(by.tolist()) == {-1, 0, 1, 2}
    assert torch.equal(by == 0, ~clean)
    assert torch.equal(by == -1, right)
    assert torch.equal(columns["adversarial"], right | (by == 2))
    assert (columns["distance"][by == 0] == 0).all()
    assert (columns["distance"][by > 0] <= 0.4).all()
    assert (columns["passes"][by == 0] == 1).all()
    assert columns["passes"][right].min() >= columns["passes"][by == 1].max()


def test_a_ball_without_extent_gives_the_clean_accuracy(values):
    model, split = network(), table()
    clean = (model(split.x).argmax(1) == split.y).float().mean().item()
    for norm in ("l1", "l2", "linf"):
        found = values(WorstCase(balls=(Ball(norm, 0.0),), budget="quick"), model)
        assert [found[name] for name in ACCURACIES] == pytest.approx([clean] * 3)


@pytest.mark.slow
def test_a_larger_ball_is_no_safer(values):
    model = network()
    for norm in ("l1", "l2", "linf"):
        balls = [Ball(norm, radius) for radius in (0.1, 0.3, 0.6)]
        found = [
            values(WorstCase(balls=(each,), budget="quick", num_mean=0), model)["worst_case_top1"] for each in balls
        ]
        assert found[0] >= found[1] >= found[2]
        assert found[0] > found[2]


def test_the_condition_names_the_ball_and_what_was_spent():
    assert WorstCase(balls=(Ball("linf", 0.1),)).conditions == ("linf 0.1, standard",)
    assert WorstCase(balls=(Ball("l2", 0.1, unit="raw"),), budget="quick").conditions == ("l2 0.1 raw, quick",)
    own = [WorstCase(attacks=(APGD(steps=each),)) for each in (3, 4)]
    assert own[0].conditions[0].startswith("linf 0.0313725, APGD")
    assert own[0].conditions != own[1].conditions


def test_the_batch_size_changes_no_answer():
    model, evaluation = network(), WorstCase(balls=(Ball("linf", 0.25),), budget="quick", num_mean=8)
    found = [evaluation.measure(model, table(), seed=3, engine=Engine(batch_size=size)) for size in (14, 120)]
    for one, other in itertools.pairwise(each.columns[evaluation.conditions[0]] for each in found):
        # A place on a boundary falls on one side or the other by rounding.
        assert sum((one[name] != other[name]).sum().item() for name in ("correct", "adversarial")) <= 1
        assert (one["mean"] - other["mean"]).abs().sum() <= 1 / 8


def test_features_that_all_stay_give_the_clean_accuracy(values):
    model, split = network(), table()
    clean = (model(split.x).argmax(1) == split.y).float().mean().item()
    for norm in ("l1", "l2", "linf"):
        found = values(WorstCase(balls=(Ball(norm, (0.0,) * FEATURES),), budget="quick"), model)
        assert [found[name] for name in ACCURACIES] == pytest.approx([clean] * 3)


def test_different_balls_have_different_conditions():
    balls = [Ball("linf", radius) for radius in (0.1, (0.1, 0.0), (0.1, 0.2), (0.1,) * 50, (0.2,) * 50)]
    balls.append(Ball("linf", (0.1, 0.0), unit="raw"))
    evaluations = [WorstCase(balls=(each,)) for each in balls]
    assert len({each.conditions for each in evaluations}) == len(balls)
    assert balls[1].name == "linf [0.1 0]"
