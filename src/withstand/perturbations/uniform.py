"""Uniform draws from a ball."""

from dataclasses import dataclass

from jaxtyping import Float, Int
from torch import Tensor, nn

from withstand.functional.random import Rng
from withstand.perturbations.ball import Ball
from withstand.perturbations.base import Draws, Perturbation


@dataclass(frozen=True, kw_only=True)
class Uniform(Perturbation):
    """Points uniform in a ball around the input, cut to the box.

    Attributes:
        ball: The norm, radius and box.
    """

    ball: Ball = Ball()

    def draw(
        self,
        x: Float[Tensor, "batch *feature"],
        y: Int[Tensor, " batch"],  # noqa: ARG002
        model: nn.Module,  # noqa: ARG002
        *,
        num_draws: int,
        rng: Rng,
    ) -> Draws:
        """Sample the ball."""
        return Draws(self.ball.sample(x.detach(), num_draws=num_draws, rng=rng))

    @classmethod
    def examples(cls) -> list[Perturbation]:
        """One ball of each norm."""
        return [
            cls(ball=Ball("linf", 0.1, box=(0.0, 1.0))),
            cls(ball=Ball("l2", 0.5)),
            cls(ball=Ball("l1", 1.0)),
        ]
