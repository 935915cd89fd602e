"""Distances in the units of the ball, against closed forms on a linear model."""

import pytest
import torch
from torch import nn

from withstand.data.base import TensorSplit
from withstand.data.tables.features import fit_features
from withstand.engine import Engine
from withstand.errors import InputError
from withstand.evaluation.minimal_norm import MinimalNorm
from withstand.perturbations.attacks.apgd import APGD
from withstand.perturbations.attacks.ddn import DDN
from withstand.perturbations.attacks.fmn import FMN
from withstand.perturbations.attacks.sigma_zero import SigmaZero
from withstand.perturbations.ball import Ball

X = torch.rand(40, 3, generator=torch.Generator().manual_seed(0))
WEIGHT = torch.tensor([1.0, -2.0, 0.5])
DUAL = {"l1": torch.inf, "l2": 2, "linf": 1}


class Linear(nn.Module):
    """Class 1 where a plane is exceeded."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        value = (x - 0.5) @ WEIGHT
        return torch.stack([-value, value], 1)


def split(x: torch.Tensor = X, **fields) -> TensorSplit:
    y = Linear()(x).argmax(1)
    y[:3] = 1 - y[:3]
    return TensorSplit(x, y, classes=("a", "b"), box=None, **fields)


def distances(evaluation: MinimalNorm, data: TensorSplit) -> torch.Tensor:
    (columns,) = evaluation.measure(Linear(), data, seed=0, engine=Engine()).columns.values()
    return columns["distance"]


@pytest.mark.slow
@pytest.mark.parametrize("norm", DUAL)
@pytest.mark.parametrize("radius", [0.1, 7.0])
def test_distances_of_a_linear_model_are_the_closed_form_whatever_the_radius(norm, radius, measured):
    exact = ((X - 0.5) @ WEIGHT).abs() / torch.linalg.vector_norm(WEIGHT, DUAL[norm])
    exact[:3] = 0  # wrong unchanged
    evaluation = MinimalNorm(attacks=(FMN(ball=Ball(norm, radius)),))
    torch.testing.assert_close(distances(evaluation, split()), exact, rtol=1e-2, atol=0)
    row = measured(evaluation, Linear(), split())[f"{norm}_distance", evaluation.conditions[0]]
    assert row.value == pytest.approx(exact.median().item(), rel=0.05)


def test_distances_are_in_the_unit_of_the_ball_and_in_radii_where_features_have_their_own():
    features = fit_features(["a", "b", "c"], X)._replace(scale=(2.0,) * 3, offset=(0.0,) * 3)
    exact = ((X - 0.5) @ WEIGHT).abs()[3:]
    raw = distances(MinimalNorm(attacks=(FMN(ball=Ball("l2", 1.0, "raw")),)), split(features=features))[3:]
    torch.testing.assert_close(raw, 2 * exact / WEIGHT.norm(), rtol=1e-2, atol=0)
    radii = torch.tensor([0.1, 0.2, 0.0])
    own = distances(MinimalNorm(attacks=(FMN(ball=Ball("linf", tuple(radii.tolist()))),)), split())[3:]
    torch.testing.assert_close(own, exact / (radii * WEIGHT.abs()).sum(), rtol=1e-2, atol=0)


def test_the_smallest_distance_of_several_attacks_counts():
    attacks = (FMN(ball=Ball("l2", 1.0), steps=2), DDN(ball=Ball("l2", 1.0), steps=60))
    both, *alone = (distances(MinimalNorm(attacks=each), split()) for each in (attacks, attacks[:1], attacks[1:]))
    assert torch.equal(both, torch.minimum(*alone))
    assert (alone[0] != alone[1]).any()


def test_changed_fields_are_counted_and_out_of_reach_is_infinite():
    data = split(torch.tensor([[0.5, 0.5, 0.5]]).repeat(6, 1) + torch.tensor([0.0, 0.0, 0.0, 0.1, 2.0, 9.0])[:, None])
    # The sum of the weights is -0.5: what must be gained is half of the shift.
    found = distances(MinimalNorm(attacks=(SigmaZero(ball=Ball("linf", 0.3)),)), data)
    assert found.tolist() == [0, 0, 0, 1, 3, torch.inf]


def test_attacks_must_measure_the_same_distance():
    with pytest.raises(InputError, match=r"^MinimalNorm: .*got APGD"):
        MinimalNorm(attacks=(APGD(),))
    for other in (FMN(ball=Ball("l2", 2.0)), FMN(ball=Ball("linf", 1.0)), SigmaZero(ball=Ball("linf", 1.0))):
        with pytest.raises(InputError, match=r"^MinimalNorm: .*same ball"):
            MinimalNorm(attacks=(DDN(ball=Ball("l2", 1.0)), other))
