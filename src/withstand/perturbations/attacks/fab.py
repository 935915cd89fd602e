"""Fast adaptive boundary attack (FAB) with targets."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from withstand.functional.planes import step_to_plane
from withstand.functional.random import RowStreams
from withstand.limits import PositiveInt
from withstand.perturbations.attacks.attack import Attack
from withstand.perturbations.ball import Ball
from withstand.perturbations.base import Perturbation
from withstand.perturbations.search.frame import Place
from withstand.perturbations.search.target import Target

MOST_PULL = 0.1  # largest weight of the step from the row, over the step from the present point
OVERSHOOT = 1.05
BACKWARD = 0.9  # at a wrong point, displacements shrink to this share
BISECTIONS = 14


@dataclass(frozen=True, kw_only=True)
class FAB(Attack):
    """Search for the nearest misclassified point along linear approximations of the decision boundaries.

    Attributes:
        steps: Gradient steps per start and target, at least 1.
        num_targets: Classes to try, at least 1; first those whose logits came closest to the label's.
        restarts: Starts, at least 1: the row itself, then random points.

    Source:
        Croce, Hein 2020, arXiv 1907.02044; fra31/auto-attack, autoattack/fab_base.py, commit a392200.
        Differs: ends with a bisection between the row and the nearest wrong point.
    """

    finds_distance: ClassVar[bool] = True
    steps: PositiveInt = 100
    num_targets: PositiveInt = 9
    restarts: PositiveInt = 1

    def search(self, target: Target, *, rng: RowStreams) -> None:
        """Walk along the boundary to each class; rows with a wrong point continue, to find a nearer one."""
        rows = target.rows
        if len(rows) == 0:
            return
        classes = target.others()[:, : self.num_targets]
        for restart in range(self.restarts):
            for number in range(classes.shape[1]):
                # A row that is wrong unchanged has no nearer point.
                rows = rows[target.distance[rows] > 0]
                start = target.frame.centre.rows(rows)
                if restart:
                    half = target.distance[rows].clamp_max(1)[:, None] / 2
                    start = Place(target.frame.rows(rows).sample(rng=rng.subset(rows)).u * half, start.picks)
                self._walk(target, rows, start, classes[:, number])
        self._bisect(target, rows)

    def _walk(self, target: Target, rows: Tensor, here: Place, classes: Tensor) -> None:
        def lead(logits: Tensor, y: Tensor, rows: Tensor) -> Tensor:
            logits = logits.float()
            return (logits.gather(1, classes[rows, None]) - logits.gather(1, y[:, None]))[:, 0]

        frame = target.frame.rows(rows)
        for _ in range(self.steps):
            slope = target.slope(here, rows, lead)
            # At wrong points, step back towards the row.
            u = torch.where(slope.wrong[:, None], BACKWARD * here.u, here.u)
            value = torch.where(slope.wrong, slope.value + (slope.gradient * (u - here.u)).sum(1), slope.value)
            from_here = step_to_plane(u, slope.gradient, value, frame.norm, frame.low, frame.high)
            at_row = value - (slope.gradient * u).sum(1)
            from_row = step_to_plane(torch.zeros_like(u), slope.gradient, at_row, frame.norm, frame.low, frame.high)
            near, far = frame.length(from_here).clamp_min(1e-8), frame.length(from_row).clamp_min(1e-8)
            pull = (near / (near + far)).clamp_max(MOST_PULL)[:, None]
            moved = (1 - pull) * (u + OVERSHOOT * from_here) + pull * OVERSHOOT * from_row
            here = Place(frame.clip(moved), slope.picks)
        target.logits(here, rows)

    def _bisect(self, target: Target, rows: Tensor) -> None:
        """Search between the row and its nearest misclassified point."""
        rows = rows[target.distance[rows].isfinite()]
        right, wrong = torch.zeros(len(rows), device=rows.device), torch.ones(len(rows), device=rows.device)
        found = Place(target.found.u[rows], target.found.picks[rows])
        for _ in range(BISECTIONS):
            middle = (right + wrong) / 2
            known = target.distance[rows]
            target.logits(Place(found.u * middle[:, None], found.picks), rows)
            is_wrong = target.distance[rows] < known
            right, wrong = torch.where(is_wrong, right, middle), torch.where(is_wrong, middle, wrong)

    @classmethod
    def examples(cls) -> list[Perturbation]:
        """One ball of each norm."""
        return [
            cls(ball=Ball("linf", 0.3), steps=3, num_targets=1),
            cls(ball=Ball("l2", 0.3), steps=3, num_targets=2),
            cls(ball=Ball("l1", 0.3), steps=2, num_targets=1, restarts=2),
        ]
