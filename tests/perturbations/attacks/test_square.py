"""Square: closed forms, independence of the batch, what may not move."""

import pytest
import torch
from torch import nn

from withstand.data.space import Space
from withstand.data.tables.features import Features
from withstand.functional.changes import Change
from withstand.functional.random import row_streams
from withstand.perturbations.attacks.square import Square
from withstand.perturbations.ball import Ball

RADIUS = 0.3


class Linear(nn.Module):
    """Two logits, summed row by row, so that batches cannot differ by rounding."""

    def __init__(self, size: int) -> None:
        super().__init__()
        weight = torch.randn(size, generator=torch.Generator().manual_seed(1))
        self.register_buffer("weight", weight)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        value = ((x.flatten(1) - 0.5) * self.weight).sum(1)
        return torch.stack([value, -value], 1)

    def distance(self, x: torch.Tensor, norm: str) -> torch.Tensor:
        """Distance to the boundary without a box, in radii."""
        dual = {"l1": torch.inf, "l2": 2, "linf": 1}[norm]
        gap = ((x.flatten(1) - 0.5) * self.weight).sum(1).abs()
        return gap / torch.linalg.vector_norm(self.weight, dual) / RADIUS


def attacked(attack: Square, model: nn.Module, x: torch.Tensor, space: Space, index: torch.Tensor | None = None):
    index = torch.arange(len(x)) if index is None else index
    y = model(x).argmax(1)
    return attack.attack(x, y, model, space=space, rng=row_streams(0, "square", index=index))


@pytest.mark.slow
@pytest.mark.parametrize("norm", ["linf", "l2", "l1"])
@pytest.mark.parametrize("shape", [(1,), (6,), (1, 5, 6)])
def test_of_a_linear_model_square_breaks_the_rows_that_can_be_broken(norm, shape):
    x = torch.rand(64, *shape, generator=torch.Generator().manual_seed(0))
    model = Linear(x[0].numel())
    found = attacked(Square(ball=Ball(norm, RADIUS), num_queries=400), model, x, Space.like(x))
    distance = model.distance(x, norm)
    # Windows of at least three pixels cannot follow every direction.
    reach = 0.5 if norm != "linf" and len(shape) == 3 else 0.97 if norm == "l2" else 0.9999
    assert not found.success[distance > 1.0001].any()
    assert found.success[distance < reach].all()
    assert found.success.any()


@pytest.mark.slow
@pytest.mark.parametrize("norm", ["linf", "l2", "l1"])
@pytest.mark.parametrize("shape", [(6,), (2, 4, 4)])
def test_a_rows_result_does_not_depend_on_its_batch(norm, shape):
    x = torch.rand(64, *shape, generator=torch.Generator().manual_seed(0))
    model, attack = Linear(x[0].numel()), Square(ball=Ball(norm, RADIUS), num_queries=70)
    whole = attacked(attack, model, x, Space.like(x, box=(0.0, 1.0)))
    parts = [
        attacked(attack, model, x[rows], Space.like(x, box=(0.0, 1.0)), index=rows)
        for rows in torch.arange(64).split(7)
    ]
    for number in range(4):
        assert torch.equal(whole[number], torch.cat([each[number] for each in parts]))


def test_discrete_changes_are_found_and_other_features_stay():
    features = Features(
        names=("a", "b", "c"),
        columns=("a", "b", "c"),
        kinds=("continuous", "continuous", "category"),
        movable=(True, False, False),
        offset=(0.0,) * 3,
        scale=(1.0,) * 3,
        iqr=(1.0,) * 3,
        changes=(Change((2,), ((0.0,), (1.0,), (2.0,))),),
    )

    class Needs(nn.Module):
        """Wrong only for the last category, and with the first feature at its end."""

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            value = (x[:, 2] == 2).float() + (x[:, 0] > 0.29).float() - 1.5
            return torch.stack([-value, value], 1)

    x = torch.tensor([[0.0, 5.0, 0.0]] * 20)
    found = attacked(
        Square(ball=Ball("linf", RADIUS), num_queries=200), Needs(), x, Space(shape=(3,), features=features)
    )
    assert found.success.all()
    assert (found.points[:, 1] == 5).all()
    assert (found.points[:, 2] == 2).all()
