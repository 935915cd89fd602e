"""A small network whose decisions depend on its input: an untrained one often answers one class everywhere."""

from collections.abc import Callable

import pytest
import torch
from torch import nn

from withstand.data.base import TensorSplit
from withstand.models.mlp import MLP


@pytest.fixture
def sphere() -> TensorSplit:
    """Sixty rows of three numbers; the class is whether they lie outside of a sphere."""
    x = torch.rand(60, 3, generator=torch.Generator().manual_seed(0))
    return TensorSplit(x, ((x - 0.5).norm(dim=1) > 0.45).long(), classes=("a", "b"), box=None)


@pytest.fixture
def trained(sphere) -> Callable[..., nn.Module]:
    """A function that trains a multilayer perceptron on `sphere`."""

    def train(*hidden: int, seed: int) -> nn.Module:
        model = MLP(hidden=hidden).build((3,), 2, seed=seed)
        optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
        for _ in range(200):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(sphere.x), sphere.y).backward()
            optimizer.step()
        return model.eval()

    return train
