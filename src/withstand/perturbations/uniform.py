"""Uniform draws from a ball."""

from dataclasses import dataclass
from typing import ClassVar

from torch import nn

from withstand.data.space import Space
from withstand.functional.random import Rng
from withstand.functional.tensors import Points, Targets
from withstand.perturbations.ball import Ball
from withstand.perturbations.base import Draws, Perturbation


@dataclass(frozen=True, kw_only=True)
class Uniform(Perturbation):
    """Points uniform in a ball around the input, clipped to the box.

    Attributes:
        ball: The norm, radius and box.
    """

    operations: ClassVar = frozenset({"noise"})

    ball: Ball = Ball()

    def draw(self, x: Points, y: Targets, model: nn.Module, *, space: Space, num_draws: int, rng: Rng) -> Draws:
        """Sample the ball."""
        return Draws(self.ball.sample(x.detach(), space=space, num_draws=num_draws, rng=rng))

    @classmethod
    def examples(cls) -> list[Perturbation]:
        """One ball of each norm."""
        return [cls(ball=Ball("linf", 0.1)), cls(ball=Ball("l2", 0.5)), cls(ball=Ball("l1", 1.0))]
