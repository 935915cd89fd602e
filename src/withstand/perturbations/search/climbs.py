"""Climbs: the state of gradient ascents with adaptive step sizes."""

from dataclasses import dataclass, fields

import torch
from torch import Tensor

from withstand.perturbations.search.frame import Frame, Place
from withstand.perturbations.search.target import Slope

NEW_SHARE = 0.75  # share of the new step; the rest repeats the last move
MOST_RISES = 0.75  # share of the steps that must rise for the step size to stay
FIRST_STEP = 2.0  # in radii
FIRST_SHARE = 0.2  # of the features, in a sparse step from the row itself
GROWTH = 1.5  # a sparse step may touch the features that the best point changes, divided by this


@dataclass
class Climbs:
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
    def begin(cls, rows: Tensor, start: Place, slope: Slope, radius: float) -> "Climbs":
        """Start at some places."""
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
        """Store value and gradient at the new point, and update the best point."""
        self.rises = self.rises + (slope.value > self.value)
        self.value, self.gradient, self.picks = slope.value, slope.gradient, slope.picks
        better = slope.value > self.best_value
        self.best_value = torch.where(better, slope.value, self.best_value)
        better = better[:, None]
        self.best_u = torch.where(better, self.u, self.best_u)
        self.best_gradient = torch.where(better, self.gradient, self.best_gradient)
        self.best_picks = torch.where(better, self.picks, self.best_picks)

    def check(self, num: int, radius: float) -> None:
        """Halve the steps of climbs that stall, and resume them from their best points."""
        stalls = self.rises <= MOST_RISES * num
        stalls |= ~self.halved & (self.best_value == self.last_best)
        self.step = torch.where(stalls, self.step / 2, self.step)
        self.halved, self.last_best, self.rises = stalls, self.best_value, torch.zeros_like(self.rises)
        self._go_back(stalls)

    def _go_back(self, chosen: Tensor) -> None:
        """Resume some climbs from their best points."""
        chosen = chosen[:, None]
        self.u = torch.where(chosen, self.best_u, self.u)
        self.gradient = torch.where(chosen, self.best_gradient, self.gradient)
        self.picks = torch.where(chosen, self.best_picks, self.picks)

    @staticmethod
    def checks(steps: int) -> dict[int, int]:
        """Return the steps after which step sizes are checked, each with the number of steps since the last check.

        Example:
            >>> list(Climbs.checks(100))
            [22, 41, 57, 70, 80, 87, 93, 99]
        """
        window, shorter, shortest = (max(int(share * steps), 1) for share in (0.22, 0.03, 0.06))
        found, count = {}, window
        while count <= steps:
            found[count] = window
            window = max(window - shorter, shortest)
            count += window
        return found


@dataclass
class SparseClimbs(Climbs):
    """Climbs in an l1 ball: a step changes the features of steepest slope, as many as the best point suggests.

    Source:
        Croce, Hein 2021, arXiv 2103.01208, section 4; fra31/auto-attack, autoattack/autopgd_base.py, commit a392200.
    """

    support: Tensor

    @classmethod
    def begin(cls, rows: Tensor, start: Place, slope: Slope, radius: float) -> "SparseClimbs":
        """Start at some places."""
        plain = Climbs.begin(rows, start, slope, radius)
        support = (start.u != 0).sum(1).to(slope.value.dtype)
        support = torch.where(support == 0, GROWTH * FIRST_SHARE * start.u.shape[1], support)
        found = cls(**{each.name: getattr(plain, each.name) for each in fields(Climbs)}, support=support)
        found.step = torch.full_like(slope.value, radius)
        return found

    def move(self, frame: Frame, share: float, radius: float) -> Place:
        """Take a step along the signs of the steepest slopes; there is no momentum."""
        num = (self.support / GROWTH).long().clamp(1, self.u.shape[1])
        size = self.gradient.abs()
        least = size.sort(dim=1, descending=True).values.gather(1, num[:, None] - 1)
        sparse = self.gradient.sign() * (size >= least)
        direction = sparse / sparse.abs().sum(1, keepdim=True).clamp_min(1)
        self.u = frame.project(self.u + self.step[:, None] * direction, radius)
        return Place(self.u, self.picks)

    def check(self, num: int, radius: float) -> None:
        """Return to the best point with long steps where it has become sparser; shorten the steps elsewhere."""
        support = (self.best_u != 0).sum(1).to(self.support.dtype)
        sparser = support < 0.95 * self.support
        shorter = (self.step / GROWTH).clamp_min(radius / 10)
        self.step = torch.where(sparser, torch.full_like(self.step, radius), shorter)
        self.support, self.last_best = support, self.best_value
        self._go_back(sparser)

    @staticmethod
    def checks(steps: int) -> dict[int, int]:
        """Return the steps after which the climbs are checked: evenly spread."""
        window = max(int(0.04 * steps), 1)
        return dict.fromkeys(range(window, steps + 1, window), window)
