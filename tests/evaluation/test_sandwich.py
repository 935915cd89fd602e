"""Certified accuracy, worst-case accuracy and the gap between them fit together."""

import pytest
import torch

from withstand.engine import Engine
from withstand.evaluation.sandwich import BY_SEARCH, Sandwich
from withstand.perturbations.attacks.apgd import APGD
from withstand.perturbations.attacks.sampled import Sampled
from withstand.perturbations.ball import Ball
from withstand.perturbations.uniform import Uniform


def test_certified_is_at_most_attacked_and_the_gap_is_between_them(sphere, trained, measured):
    balls = tuple(Ball("linf", radius) for radius in (0.02, 0.1))
    for seed in range(3):
        evaluation = Sandwich(balls=balls, attacks=(APGD(steps=5),), method="interval")
        rows = measured(evaluation, trained(10, seed=seed), sphere)
        for condition in evaluation.conditions:
            certified, attacked, gap = (
                rows[name, condition].value for name in ("certified_top1", "worst_case_top1", "gap")
            )
            assert 0 < certified < attacked < 1
            assert certified + gap == pytest.approx(attacked)


def test_branch_and_bound_closes_the_gap_of_a_weak_attack(sphere, trained):
    ball, one_point = Ball("linf", 0.1), Sampled(perturbation=Uniform(), num_draws=1)
    weak, strong = (Sandwich(balls=(ball,), attacks=(each,)) for each in (one_point, APGD(steps=50, restarts=5)))
    model, engine = trained(30, seed=1), Engine(batch_size=20)
    (columns,) = weak.measure(model, sphere, seed=0, engine=engine).columns.values()
    assert not columns["unknown"].any()
    assert torch.equal(columns["certified"], columns["correct"])
    searched = columns["broken_by"] == BY_SEARCH
    assert searched.sum() > 10
    assert not columns["correct"][searched].any()
    assert (columns["distance"][searched] <= 0.1 * (1 + 1e-4)).all()
    assert (columns["distance"][searched] > 0).all()
    # Whatever attacks, the same samples withstand the ball.
    (other,) = strong.measure(model, sphere, seed=0, engine=engine).columns.values()
    assert torch.equal(columns["correct"], other["correct"])
    assert (other["broken_by"] == BY_SEARCH).sum() < searched.sum()


def test_a_gap_has_no_better_direction():
    # A network that is broken everywhere has none.
    directions = {each.name: each.direction for each in Sandwich().measures}
    assert directions == {"certified_top1": 1, "worst_case_top1": 1, "gap": 0}
