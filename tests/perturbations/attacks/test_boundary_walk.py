"""BoundaryWalk: distances of linear models."""

import pytest
import torch
from torch import nn

from withstand.data.space import Space
from withstand.functional.random import row_streams
from withstand.perturbations.attacks.boundary_walk import BoundaryWalk
from withstand.perturbations.ball import Ball

RADIUS = 0.3


class Votes(nn.Module):
    """Answers 0 or 1 on the sides of a plane, summed row by row, so that batches cannot differ by rounding."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.register_buffer("weight", torch.randn(size, generator=torch.Generator().manual_seed(1)))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        wrong = (((x.flatten(1) - 0.5) * self.weight).sum(1) > 0).float()
        return torch.stack([1 - wrong, wrong], 1)


def walk(x: torch.Tensor, y: torch.Tensor, model: nn.Module, space: Space, index: torch.Tensor, norm: str):
    attack = BoundaryWalk(ball=Ball(norm, RADIUS))
    return attack.attack(x, y, model, space=space, rng=row_streams(0, "walk", index=index))


@pytest.mark.parametrize("norm", ["linf", "l2", "l1"])
@pytest.mark.parametrize("size", [1, 8])
def test_distances_to_a_plane_are_those_of_the_closed_form(norm, size):
    index = torch.arange(50)
    x, model = torch.rand(50, size, generator=torch.Generator().manual_seed(0)), Votes(size)
    y = model(x).argmax(1)
    dual = {"l1": torch.inf, "l2": 2, "linf": 1}[norm]
    gap = ((x - 0.5) * model.weight).sum(1).abs()
    exact = gap / torch.linalg.vector_norm(model.weight, dual) / RADIUS
    found = walk(x, y, model, Space.like(x), index, norm)
    ratio = found.distance / exact
    assert ratio.min() > 0.9999
    assert ratio.median() < 1.02
    assert ratio.max() < 1.1
    assert torch.equal(found.success, found.distance <= 1)
    assert found.passes.max() <= 1001
    if size == 8:
        parts = [walk(x[rows], y[rows], model, Space.like(x), rows, norm) for rows in index[:21].split(7)]
        assert torch.equal(found.distance[:21], torch.cat([each.distance for each in parts]))


def steepest_first(gap, slope, room):
    """Return the least l1 length that makes up for a gap, one feature after another."""
    used = torch.zeros_like(gap)
    for row in range(len(gap)):
        for feature in slope[row].argsort(descending=True):
            step = min(room[row, feature], gap[row] / slope[row, feature])
            used[row] += step
            gap[row] -= step * slope[row, feature]
    return used


def test_with_fifty_features_walks_end_near_the_closed_form():
    index = torch.arange(32)
    x, model = torch.rand(32, 50, generator=torch.Generator().manual_seed(0)), Votes(50)
    y, gap = model(x).argmax(1), (x - 0.5) @ model.weight
    ratio = walk(x, y, model, Space.like(x), index, "l2").distance * RADIUS * model.weight.norm() / gap.abs()
    assert ratio.min() > 0.9999
    assert ratio.median() < 1.03
    towards = -gap.sign()[:, None] * model.weight
    exact = steepest_first(gap.abs(), towards.abs(), torch.where(towards > 0, 1 - x, x))
    ratio = walk(x, y, model, Space.like(x, box=(0.0, 1.0)), index, "l1").distance * RADIUS / exact
    assert ratio.min() > 0.999
    assert ratio.quantile(0.9) < 1.05


def test_points_stay_in_the_box_and_rows_without_a_wrong_point_have_no_distance():
    x = torch.full((3, 2, 4, 4), 0.25)
    x[2] = 0.9
    model = Votes(x[0].numel())
    space = Space.like(x, box=(0.0, 1.0))
    y = model(x).argmax(1)
    found = walk(x, y, model, space, torch.arange(3), "l2")
    assert found.distance.isfinite().all()
    assert found.points.min() >= 0
    assert found.points.max() <= 1

    class Same(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.tensor([[1.0, 0.0]]).expand(len(x), -1)

    never = walk(x, torch.zeros_like(y), Same(), space, torch.arange(3), "l2")
    assert never.distance.isinf().all()
    assert not never.success.any()
