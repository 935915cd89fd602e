"""Projected gradient ascent (PGD)."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from withstand.data.space import Space
from withstand.functional.losses import Climbed
from withstand.functional.random import Rng
from withstand.functional.tensors import Points, Targets
from withstand.limits import PositiveFloat, PositiveInt
from withstand.models.frozen import frozen
from withstand.perturbations.ball import Ball
from withstand.perturbations.base import Draws, Perturbation
from withstand.perturbations.search.gradient import climbed_targets, loss_and_gradient


@dataclass(frozen=True, kw_only=True)
class PGD(Perturbation):
    """Projected gradient ascent on the loss, from a point drawn uniformly in the ball; every draw is a restart.

    The visited point with the highest loss is kept.

    Attributes:
        ball: The norm, radius and box.
        steps: Gradient steps, at least 1.
        reach: Sum of the lengths of all steps, in radii, > 0.
        until_wrong: Stop each row at the first point where another class wins, and keep that point: faster, and enough
            for accuracies.
        loss: The loss to maximise, or `divergence`: that of the prediction at the point from the prediction for
            the clean input, as in TRADES.

    Source:
        Madry, Makelov, Schmidt, Tsipras, Vladu 2018, arXiv 1706.06083, section 2.1; steps of 2.5 radii in total as in
        their section 5.
        Differs: the best of the visited points is kept, not the last.
    """

    operations: ClassVar = frozenset({"attack"})

    ball: Ball = Ball()
    steps: PositiveInt = 10
    reach: PositiveFloat = 2.5
    until_wrong: bool = False
    loss: Climbed = "cross_entropy"

    needs_gradient: ClassVar[bool] = True
    needs_model: ClassVar[bool] = True
    counted: ClassVar[str] = "steps"

    @torch.no_grad()
    def draw(self, x: Points, y: Targets, model: nn.Module, *, space: Space, num_draws: int, rng: Rng) -> Draws:
        """Ascend from one start per draw, batched."""
        x = x.detach()
        start = self.ball.sample(x, space=space, num_draws=num_draws, rng=rng)
        with frozen(model):
            targets = climbed_targets(model, x, y, self.loss)
            best = torch.stack([self._climb(x, y, targets, each, model, space) for each in start])
        return Draws(best)

    def _climb(self, x: Tensor, y: Tensor, targets: Tensor, start: Tensor, model: nn.Module, space: Space) -> Tensor:
        best, points = start.clone(), start
        highest = torch.full((len(x),), -torch.inf, device=x.device)
        rows, ball = torch.arange(len(x), device=x.device), self.ball
        for step in range(self.steps + 1):
            ascends = step < self.steps
            losses, gradient, outputs = loss_and_gradient(
                model, points, targets, self.loss, steep=True, ascends=ascends
            )
            wrong = outputs.argmax(1) != y if self.loss != "squared_error" else torch.zeros_like(y, dtype=torch.bool)
            better = losses > highest[rows]
            if self.until_wrong:
                # With more than two classes, an earlier point that is right can have a higher loss.
                better |= wrong
            highest[rows[better]], best[rows[better]] = losses[better].to(highest.dtype), points[better]
            if not ascends:
                break
            if self.until_wrong and wrong.any():
                on = ~wrong
                rows, x, y, targets = rows[on], x[on], y[on], targets[on]
                points, gradient = points[on], gradient[on]
                if len(rows) == 0:
                    break
                ball = self.ball.of_rows(rows)
            points = ball.ascend(x, points, gradient, space=space, share=self.reach / self.steps)
        return best

    @classmethod
    def examples(cls) -> list[Perturbation]:
        """One ball of each norm, one that stops early."""
        return [
            cls(ball=Ball("linf", 0.1), steps=3, reach=0.5),
            cls(ball=Ball("l2", 0.5), steps=3, until_wrong=True),
            cls(ball=Ball("l1", 1.0), steps=2, reach=0.5, loss="hinge"),
            cls(ball=Ball("linf", 0.1), steps=2, loss="divergence"),
        ]
