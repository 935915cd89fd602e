"""What tests of measuring share."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from withstand.measuring.question import Question
from withstand.measuring.subject import Subject


class Counting(nn.Module):
    """A linear model that keeps the inputs that it is given."""

    def __init__(self, size: int = 192, num_classes: int = 3) -> None:
        super().__init__()
        self.seen: list[Tensor] = []
        generator = torch.Generator().manual_seed(1)
        self.weight = nn.Parameter(torch.randn(size, num_classes, generator=generator))

    def forward(self, x: Tensor) -> Tensor:
        self.seen.append(x.detach().clone())
        return x.flatten(1) @ self.weight

    @property
    def count(self) -> int:
        return sum(map(len, self.seen))


@dataclass
class Bench:
    """Makes subjects of models and questions about a split."""

    split: Any

    def subject(self, model: nn.Module, *on: Any, name: str = "mine", folder: Path | None = None, **fields: Any):
        question = fields.pop("question", None) or Question.of(self.split, list(on) or None)
        return Subject(name=name, question=question, load=lambda: model, folder=folder, **fields)


@pytest.fixture
def bench(tiny_split) -> Bench:
    """Of the tiny split."""
    return Bench(tiny_split)


@pytest.fixture
def counting() -> Counting:
    """A model for the tiny split that keeps what it is given."""
    return Counting()
