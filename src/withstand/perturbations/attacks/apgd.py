"""Projected gradient ascent with adaptive step sizes (APGD)."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from withstand.functional.margins import log_odds, logits_ratio, targeted_logits_ratio
from withstand.functional.random import RowStreams, normal
from withstand.limits import PositiveFloat, PositiveInt
from withstand.perturbations.attacks.attack import Attack
from withstand.perturbations.ball import Ball
from withstand.perturbations.base import Perturbation
from withstand.perturbations.search.ascent import ascend
from withstand.perturbations.search.frame import Place
from withstand.perturbations.search.target import Objective, Target

AscentLoss = Literal["cross_entropy", "logits_ratio", "targeted"]

# Radii of the phases of an ascent, with their shares of the steps.
NARROW = ((1.0, 1.0),)
WIDE = ((3.0, 0.3), (2.0, 0.3), (1.0, 0.4))
SPREAD = 0.1  # standard deviation of a start in l1, in radii; with few features so large that it fills the first phase


@dataclass(frozen=True, kw_only=True)
class APGD(Attack):
    """Projected gradient ascent with adaptive step sizes, from random points of the ball.

    Attributes:
        steps: Gradient steps per start and target, at least 1.
        loss: `cross_entropy`; `logits_ratio` (DLR), which does not depend on the scale of the logits; or `targeted`,
            its version for a target class, tried with one class after the other.
        num_targets: Classes to try with `targeted`, at least 1; first those whose logits came closest to the label's.
        restarts: Starts, at least 1.
        wide: Whether to ascend in balls of three and two times the radius first, then in the ball itself. In l1 this
            is always done.
        near: Attack only rows where the best point found so far leaves at most this share of the label's lead, > 0;
            None attacks all rows.

    Source:
        Croce, Hein 2020, arXiv 2003.01690.
        l1: Croce, Hein 2021, arXiv 2103.01208.
        Differs: the log odds replace cross entropy; they rise in the same direction and do not underflow. In l1, starts
        are normal with a standard deviation in radii, not in units of the inputs.
    """

    steps: PositiveInt = 100
    loss: AscentLoss = "cross_entropy"
    num_targets: PositiveInt = 9
    restarts: PositiveInt = 1
    wide: bool = False
    near: PositiveFloat | None = None

    def search(self, target: Target, *, rng: RowStreams) -> None:
        """Climb from each start, with each target."""
        if len(target.rows) == 0:
            return
        chosen = torch.ones_like(target.is_broken) if self.near is None else target.left() <= self.near
        for objective in self._objectives(target):
            for _ in range(self.restarts):
                rows = target.rows
                rows = rows[chosen[rows]]
                if len(rows) == 0:
                    return
                self._climb(target, rows, objective, rng=rng.subset(rows))

    def _climb(self, target: Target, rows: Tensor, objective: Objective, *, rng: RowStreams) -> None:
        frame, left = target.frame, self.steps
        start = frame.rows(rows).sample(rng=rng)
        if frame.norm == "l1":  # normal numbers are sparse after their projection, points drawn in the ball are not
            std = max(SPREAD, WIDE[0][0] / start.u.shape[1])
            start = Place(std * normal(tuple(start.u.shape), rng=rng, device=start.u.device), start.picks)
        phases = WIDE if self.wide or frame.norm == "l1" else NARROW
        for radius, share in phases:
            steps = left if radius == 1 else min(left - 1, int(share * self.steps))
            if steps == 0:
                continue
            left -= steps
            start = Place(frame.rows(rows).project(start.u, radius), start.picks)
            rows, start = ascend(target, rows, start, objective, steps=steps, radius=radius)

    def _objectives(self, target: Target) -> Iterator[Objective]:
        if self.loss == "targeted":
            classes = target.others()[:, : self.num_targets]
            for number in range(classes.shape[1]):
                yield _towards(classes[:, number])
        else:
            loss = log_odds if self.loss == "cross_entropy" else logits_ratio
            yield lambda logits, y, rows: loss(logits, y)  # noqa: ARG005

    @classmethod
    def examples(cls) -> list[Perturbation]:
        """One ball of each norm, and every loss."""
        return [
            cls(ball=Ball("linf", 0.3), steps=3),
            cls(ball=Ball("l2", 0.3), steps=3, loss="logits_ratio", restarts=2),
            cls(ball=Ball("l1", 0.3), steps=3, loss="targeted", num_targets=2, near=1.0),
        ]


def _towards(classes: Tensor) -> Objective:
    return lambda logits, y, rows: targeted_logits_ratio(logits, y, classes[rows])
