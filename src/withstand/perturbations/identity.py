"""The unchanged input."""

from dataclasses import dataclass
from typing import ClassVar

from torch import nn

from withstand.data.space import Space
from withstand.functional.random import Rng
from withstand.functional.tensors import Points, Targets
from withstand.perturbations.base import Draws, Perturbation


@dataclass(frozen=True, kw_only=True)
class Identity(Perturbation):
    """The unchanged input: plain training and clean accuracy."""

    operations: ClassVar = frozenset()

    @property
    def condition(self) -> str:
        """The name of unchanged inputs in tables."""
        return "clean"

    def draw(self, x: Points, y: Targets, model: nn.Module, *, space: Space, num_draws: int, rng: Rng) -> Draws:
        """Return the input itself, as a view."""
        return Draws(x.detach().expand(num_draws, *x.shape))

    @classmethod
    def examples(cls) -> list[Perturbation]:
        """The only instance."""
        return [cls()]
