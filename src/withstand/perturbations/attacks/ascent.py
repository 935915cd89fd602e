"""Gradient ascent with adaptive step sizes: one climb per row."""

from dataclasses import dataclass, fields

import torch
from jaxtyping import Int
from torch import Tensor

from withstand.functional.tensors import PerRow
from withstand.perturbations.attacks.frame import Flat, Frame, Place
from withstand.perturbations.attacks.target import Objective, Slope, Target

MOMENTUM = 0.75  # share of the new step; the rest repeats the last move
MOST_RISES = 0.75  # share of the steps that must rise for the step size to stay
FIRST_STEP = 2.0  # in radii


@dataclass
class _Climbs:
    """Climbs of some rows; every field has a row per climb."""

    rows: Tensor
    u: Tensor
    before: Tensor
    value: Tensor
    gradient: Tensor
    picks: Tensor
    best_u: Tensor
    best_value: Tensor
    best_gradient: Tensor
    best_picks: Tensor
    step: Tensor
    rises: Tensor
    halved: Tensor
    last_best: Tensor

    @classmethod
    def begin(cls, rows: Tensor, start: Place, slope: Slope, radius: float) -> "_Climbs":
        u, value, gradient, picks = start.u, slope.value, slope.gradient, slope.picks
        step = torch.full_like(value, FIRST_STEP * radius)
        halved = torch.ones_like(value, dtype=torch.bool)  # the first check looks at rises only
        best = (u, value, gradient, picks)
        return cls(rows, u, u, value, gradient, picks, *best, step, torch.zeros_like(value), halved, value)

    def only(self, chosen: Tensor) -> None:
        """Drop the climbs that are not chosen."""
        if not chosen.all():
            for each in fields(self):
                setattr(self, each.name, getattr(self, each.name)[chosen])

    def move(self, frame: Frame, share: float, radius: float) -> Place:
        """Take a step along the gradient, with momentum; return where it leads."""
        aim = frame.project(self.u + self.step[:, None] * frame.uphill(self.gradient), radius)
        moved = frame.project(self.u + share * (aim - self.u) + (1 - share) * (self.u - self.before), radius)
        self.before, self.u = self.u, moved
        return Place(moved, self.picks)

    def arrive(self, slope: Slope) -> None:
        """Take over what the model says at the new point."""
        self.rises = self.rises + (slope.value > self.value)
        self.value, self.gradient, self.picks = slope.value, slope.gradient, slope.picks
        better = slope.value > self.best_value
        self.best_value = torch.where(better, slope.value, self.best_value)
        better = better[:, None]
        self.best_u = torch.where(better, self.u, self.best_u)
        self.best_gradient = torch.where(better, self.gradient, self.best_gradient)
        self.best_picks = torch.where(better, self.picks, self.best_picks)

    def check(self, num: int) -> None:
        """Halve the steps of climbs that stall, and go on from their best points."""
        stalls = self.rises <= MOST_RISES * num
        stalls |= ~self.halved & (self.best_value == self.last_best)
        self.step = torch.where(stalls, self.step / 2, self.step)
        self.halved, self.last_best, self.rises = stalls, self.best_value, torch.zeros_like(self.rises)
        stalls = stalls[:, None]
        self.u = torch.where(stalls, self.best_u, self.u)
        self.gradient = torch.where(stalls, self.best_gradient, self.gradient)
        self.picks = torch.where(stalls, self.best_picks, self.picks)


def checks(steps: int) -> dict[int, int]:
    """Return the steps after which step sizes are checked, each with the number of steps since the last check.

    Example:
        >>> list(checks(100))
        [22, 41, 57, 70, 80, 87, 93, 99]
    """
    window, shorter, shortest = (max(int(share * steps), 1) for share in (0.22, 0.03, 0.06))
    found, count = {}, window
    while count <= steps:
        found[count] = window
        window = max(window - shorter, shortest)
        count += window
    return found


def ascend(
    target: Target, rows: Int[Tensor, " row"], start: Place, objective: Objective, *, steps: int, radius: float = 1.0
) -> tuple[Int[Tensor, " left"], Place]:
    """Climb from a start per row; rows leave once they are wrong in the unit ball.

    Args:
        target: The rows under attack.
        rows: Those that climb.
        start: Where they start.
        objective: What to increase.
        steps: Gradient steps, at least 1.
        radius: Radius of the ball in which they climb.

    Returns:
        The rows that have not left, and the highest points that they have seen.

    Source:
        Croce, Hein 2020, arXiv 2003.01690, algorithm 1; fra31/auto-attack, autoattack/autopgd_base.py, commit a392200.
        Differs: rows leave once they are wrong.
    """
    slope = target.slope(start, rows, objective)
    climbs, when = _Climbs.begin(rows, start, slope, radius), checks(steps)
    for count in range(1, steps + 1):
        climbs.only(~target.is_broken[climbs.rows])
        if len(climbs.rows) == 0:
            break
        place = climbs.move(target.frame.rows(climbs.rows), 1.0 if count == 1 else MOMENTUM, radius)
        climbs.arrive(target.slope(place, climbs.rows, objective))
        if count in when:
            climbs.check(when[count])
    climbs.only(~target.is_broken[climbs.rows])
    return climbs.rows, Place(climbs.best_u, climbs.best_picks)
