"""Projected gradient ascent with adaptive step sizes (APGD)."""

from dataclasses import dataclass

from torch import Tensor
from torch.nn.functional import cross_entropy

from withstand.functional.random import RowStreams
from withstand.limits import PositiveInt
from withstand.perturbations.attacks.attack import Attack
from withstand.perturbations.attacks.frame import Place
from withstand.perturbations.attacks.target import Target
from withstand.perturbations.ball import Ball
from withstand.perturbations.base import Perturbation


@dataclass(frozen=True, kw_only=True)
class APGD(Attack):
    """Projected gradient ascent with adaptive step sizes, from a random point of the ball.

    Attributes:
        steps: Gradient steps, at least 1.
    """

    steps: PositiveInt = 100

    def search(self, target: Target, *, rng: RowStreams) -> None:
        """Ascend the cross entropy."""
        rows = target.rows
        frame = target.frame.rows(rows)
        here = frame.sample(rng=rng.subset(rows))
        for _ in range(self.steps):
            slope = target.slope(here, rows, _cross_entropy)
            on = ~slope.wrong
            rows, frame = rows[on], frame.rows(on)
            uphill = frame.uphill(slope.gradient[on])
            here = Place(frame.project(here.u[on] + 0.25 * uphill), slope.picks[on])

    @classmethod
    def examples(cls) -> list[Perturbation]:
        """One ball of each norm."""
        return [cls(ball=Ball(norm, 0.3), steps=3) for norm in ("linf", "l2", "l1")]


def _cross_entropy(logits: Tensor, y: Tensor, rows: Tensor) -> Tensor:  # noqa: ARG001
    return cross_entropy(logits.float(), y, reduction="none")
