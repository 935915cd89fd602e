import pytest
import torch

from withstand.data.base import TensorSplit
from withstand.engine import Engine
from withstand.evaluation.sandwich import BY_SEARCH, Sandwich
from withstand.models.mlp import MLP
from withstand.perturbations.attacks.apgd import APGD
from withstand.perturbations.ball import Ball


@pytest.fixture
def split():
    x = torch.rand(50, 3, generator=torch.Generator().manual_seed(0))
    return TensorSplit(x, (x.sum(1) > 1.5).long(), classes=("a", "b"), box=None)


def test_certified_is_at_most_attacked_and_the_gap_is_between_them(split, measured):
    balls = tuple(Ball("linf", radius) for radius in (0.02, 0.1))
    for seed in range(3):
        model = MLP(hidden=(10,)).build((3,), 2, seed=seed)
        evaluation = Sandwich(balls=balls, attacks=(APGD(steps=5),), method="crown")
        rows = measured(evaluation, model, split)
        for condition in evaluation.conditions:
            certified, attacked, gap = (
                rows[name, condition].value for name in ("certified_top1", "worst_case_top1", "gap")
            )
            assert certified + gap == pytest.approx(attacked)


def test_branch_and_bound_closes_the_gap_of_a_weak_attack(split):
    model = MLP(hidden=(30,)).build((3,), 2, seed=1)
    ball = Ball("linf", 0.2)
    weak = Sandwich(balls=(ball,), attacks=(APGD(ball=ball, steps=1),), num_parts=4000)
    (columns,) = weak.measure(model, split, seed=0, engine=Engine(batch_size=20)).columns.values()
    assert not columns["unknown"].any()
    assert torch.equal(columns["certified"], columns["correct"])
    searched = columns["broken_by"] == BY_SEARCH
    assert not columns["correct"][searched].any()
    assert (columns["distance"][searched] <= 0.2 * (1 + 1e-4)).all()


def test_a_gap_has_no_better_direction():
    # A network that is broken everywhere has none.
    directions = {each.name: each.direction for each in Sandwich().measures}
    assert directions == {"certified_top1": 1, "worst_case_top1": 1, "gap": 0}
