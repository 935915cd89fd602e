"""Rules for activations: lines below and above them."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from itertools import pairwise
from math import pi, sqrt
from typing import NamedTuple

import torch
from torch import Tensor

from withstand.certificates.rows import ROUNDING, Interval, Rows

FAR, PLACES, HALVINGS = 12.0, 4096, 24
LEAST_GELU = -0.7517915246935645  # where GELU is smallest


class Lines(NamedTuple):
    """Lines below and above an activation over an interval, for every value of a layer.

    Attributes:
        lower: Slope of the line below, (batch, *feature), or one for each row (batch, row, *feature).
        below: Its constant; None for 0.
        upper: Slope of the line above.
        above: Its constant.
        pull: What is added to the coefficients of the inputs, (batch, row, *feature); None for nothing.
    """

    lower: Tensor
    below: Tensor | None
    upper: Tensor
    above: Tensor
    pull: Tensor | None = None

    def back(self, rows: Rows) -> tuple[Rows, Tensor]:
        """Return functions of the inputs that are at most these functions of the outputs, and their constants."""
        constant = Rows(rows.coefficients.clamp_max(0), rows.corner).dot(self.above)
        if self.below is not None:
            constant = constant + Rows(rows.coefficients.clamp_min(0), rows.corner).dot(self.below)
        by_row = self.lower.ndim == rows.coefficients.ndim and rows.corner is None
        found = rows.blend(self.lower if by_row else rows.take(self.lower), rows.take(self.upper))
        return found if self.pull is None else Rows(found.coefficients + self.pull), constant


class Activation(ABC):
    """A function of every value alone."""

    @abstractmethod
    def interval(self, of: Interval) -> Interval:
        """Return bounds of the outputs from those of the inputs."""

    @abstractmethod
    def relax(self, over: Interval) -> Lines:
        """Return lines below and above the function over an interval."""

    def is_open(self, over: Interval) -> Tensor:
        """Return where tighter bounds of the inputs would give tighter lines."""
        return over.upper > over.lower


class Rectifier(Activation):
    """ReLU, or leaky ReLU with a slope in [0, 1] below 0."""

    def __init__(self, slope: float = 0.0) -> None:
        self.slope = slope

    def _of(self, x: Tensor) -> Tensor:
        return torch.maximum(x, self.slope * x)

    def interval(self, of: Interval) -> Interval:
        """Apply it to both bounds."""
        return Interval(self._of(of.lower), self._of(of.upper))

    def relax(self, over: Interval) -> Lines:
        """Take the chord above, and of the two slopes below the one that leaves less area."""
        below, above = over.lower >= 0, over.upper <= 0
        chord = (self._of(over.upper) - self._of(over.lower)) / (over.upper - over.lower).clamp_min(1e-30)
        chord = torch.where(below, 1.0, torch.where(above, self.slope, chord.clamp(self.slope, 1.0)))
        # The line above touches both ends; the larger constant makes up for a rounded slope.
        ends = torch.maximum(*(self._of(each) - chord * each for each in over))
        shift = torch.where(below | above, 0.0, ends * (1 + ROUNDING))
        lower = torch.where(below | (~above & (over.upper >= -over.lower)), 1.0, self.slope)
        return Lines(lower.to(chord), None, chord, shift)

    def is_open(self, over: Interval) -> Tensor:
        """Where the sign of the input is open."""
        return (over.lower < 0) & (over.upper > 0)


class Curve(Activation):
    """A smooth activation: lines that touch it, and are nearest to it in the middle of the interval.

    The line above with the smallest value at the middle m has the slope s that minimises max_z f(z) + s (m - z), which
    is convex in s; the maximum is at an end or where the derivative is s, found in a table.
    """

    def __init__(
        self,
        function: Callable[[Tensor], Tensor],
        derivative: Callable[[Tensor], Tensor],
        turns: tuple[float, ...],
        least: float | None = None,
    ) -> None:
        """Take a function with its derivative, the places where that turns, and where the function is least."""
        self.function, self.least = function, least
        ends = (-FAR, *turns, FAR)
        self.branches = []
        for left, right in pairwise(ends):
            places = torch.linspace(left, right, PLACES, dtype=torch.float64)
            slopes = derivative(places)
            if slopes[0] > slopes[-1]:
                places, slopes = places.flip(0), slopes.flip(0)
            self.branches.append((slopes, places))
        self.steepest = max(slopes.max().item() for slopes, _ in self.branches)
        self.flattest = min(slopes.min().item() for slopes, _ in self.branches)

    def interval(self, of: Interval) -> Interval:
        """Apply it to both bounds, and to its least place between them."""
        lower, upper = self.function(of.lower), self.function(of.upper)
        if self.least is not None:
            lower, upper = torch.minimum(lower, upper), torch.maximum(lower, upper)
            place = torch.full_like(lower, self.least).clamp(of.lower, of.upper)
            lower = torch.minimum(lower, self.function(place))
        return Interval(lower - ROUNDING * lower.abs(), upper + ROUNDING * upper.abs())

    def relax(self, over: Interval) -> Lines:
        """Search both slopes by halving."""
        lower, below = self._line(over, -1.0)
        upper, above = self._line(over, 1.0)
        return Lines(lower, below, upper, above)

    def _line(self, over: Interval, side: float) -> tuple[Tensor, Tensor]:
        """Return slope and constant of the line above (side 1) or below (side -1)."""
        least = torch.full_like(over.lower, self.flattest)
        most = torch.full_like(over.lower, self.steepest)
        for _ in range(HALVINGS):
            slope = (least + most) / 2
            left = self._farthest(over, slope, side)[1] < over.middle
            # Above: a touching point left of the middle means that the line is too steep; below it is too flat.
            too_steep = left if side > 0 else ~left
            least, most = torch.where(too_steep, least, slope), torch.where(too_steep, slope, most)
        slope = (least + most) / 2
        gap = self._farthest(over, slope, side)[0]
        return slope, side * (gap + ROUNDING * (slope.abs() * over.largest + 1))

    def _farthest(self, over: Interval, slope: Tensor, side: float) -> tuple[Tensor, Tensor]:
        """Return the largest distance of the function from a line through 0 to a side, and its place."""
        best, place = side * (self.function(over.lower) - slope * over.lower), over.lower
        for each in (over.upper, *self._places(slope, over)):
            found = side * (self.function(each) - slope * each)
            place = torch.where(found > best, each, place)
            best = torch.maximum(found, best)
        return best, place

    def _places(self, slope: Tensor, over: Interval) -> list[Tensor]:
        """Return the places of the interval where the derivative is a slope."""
        found = []
        for slopes, places in self.branches:
            slopes, places = slopes.to(slope), places.to(slope)
            after = torch.searchsorted(slopes, slope.contiguous()).clamp(1, PLACES - 1)
            near, far = slopes[after - 1], slopes[after]
            share = ((slope - near) / (far - near).clamp_min(1e-30)).clamp(0, 1)
            place = places[after - 1] + share * (places[after] - places[after - 1])
            found.append(torch.minimum(torch.maximum(place, over.lower), over.upper))
        return found


def _density(x: Tensor) -> Tensor:
    return (-x.square() / 2).exp() / sqrt(2 * pi)


def _distribution(x: Tensor) -> Tensor:
    return (1 + torch.erf(x / sqrt(2))) / 2


def tanh() -> Curve:
    """Return the rule for tanh."""
    return Curve(torch.tanh, lambda x: 1 - x.tanh().square(), (0.0,))


def sigmoid() -> Curve:
    """Return the rule for the sigmoid."""
    return Curve(torch.sigmoid, lambda x: x.sigmoid() * (-x).sigmoid(), (0.0,))


def gelu() -> Curve:
    """Return the rule for GELU without approximation."""
    return Curve(
        torch.nn.functional.gelu, lambda x: _distribution(x) + x * _density(x), (-sqrt(2), sqrt(2)), LEAST_GELU
    )
