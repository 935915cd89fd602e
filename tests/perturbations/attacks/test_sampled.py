"""Sampled: points of the ball of each row, whichever rows are left."""

import pytest
import torch
from torch import nn

from withstand.data.space import Space
from withstand.errors import InputError
from withstand.functional.random import row_streams
from withstand.models.wrappers.black_box import BlackBox
from withstand.perturbations.attacks.pgd import PGD
from withstand.perturbations.attacks.sampled import Sampled
from withstand.perturbations.ball import Ball
from withstand.perturbations.uniform import Uniform


class Positive(nn.Module):
    """Class 1 where the only feature is positive."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cat([-x, x], 1)


def test_rows_are_sampled_within_their_own_radii():
    x, y = torch.tensor([[0.5], [-0.1], [-0.1], [-0.1]]), torch.zeros(4, dtype=torch.int64)
    ball = Ball("linf", ((9.0,), (0.05,), (0.2,), (0.0,)))
    attack = Sampled(num_draws=40).within(ball)
    assert attack.perturbation == Uniform(ball=ball)
    rng = row_streams(0, "sampled", index=torch.arange(4))
    found = attack.attack(x, y, Positive(), space=Space(shape=(1,)), rng=rng)
    # The first row is wrong unchanged, so the others are sampled without it.
    assert found.success.tolist() == [True, False, True, False]
    assert ((found.points - x).abs()[:, 0] <= torch.tensor([0.0, 0.05, 0.2, 0.0])).all()
    assert found.passes.tolist() == [1, 41, 41, 41]


def test_points_of_a_perturbation_that_follows_gradients_need_them():
    ball = Ball("linf", 0.2)
    assert not Sampled(ball=ball).gradient_balls
    ascent = Sampled(perturbation=PGD(), num_draws=2).within(ball)
    assert ascent.needs_gradient
    assert ascent.gradient_balls == (ball,)
    x, y = torch.tensor([[-0.1], [-0.3]]), torch.zeros(2, dtype=torch.int64)
    rng = row_streams(0, "sampled", index=torch.arange(2))
    assert ascent.attack(x, y, Positive(), space=Space(shape=(1,)), rng=rng).success.tolist() == [True, False]
    with pytest.raises(InputError, match=r"^Sampled: needs gradients"):
        ascent.attack(x, y, BlackBox(lambda rows: rows), space=Space(shape=(1,)), rng=rng)
