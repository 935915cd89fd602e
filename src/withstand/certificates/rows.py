"""Rows: linear functions of the values of a layer, several per sample."""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

# Relative rounding error of a sum of products in float32, as a share of the sum of their absolute values.
ROUNDING = 1e-6


class Interval(NamedTuple):
    """Lower and upper bounds of every value of a layer, (batch, *feature)."""

    lower: Tensor
    upper: Tensor

    @property
    def middle(self) -> Tensor:
        """The middle."""
        return (self.lower + self.upper) / 2

    @property
    def half(self) -> Tensor:
        """Half of the width."""
        return (self.upper - self.lower) / 2

    @property
    def largest(self) -> Tensor:
        """The largest absolute value."""
        return torch.maximum(-self.lower, self.upper)

    def of(self, samples: Tensor) -> "Interval":
        """Return the bounds of some samples."""
        return Interval(self.lower[samples], self.upper[samples])


class Rows(NamedTuple):
    """Coefficients of linear functions of a layer's values.

    Attributes:
        coefficients: (batch, row, *feature), or a window (batch, row, channel, height, width) of each.
        corner: Row and column of the layer where each window begins, (batch, row, 2), may be negative: coefficients
            outside of the layer are 0. With fewer corners than rows, rows take them in turn. None if the coefficients
            are of the whole layer.
    """

    coefficients: Tensor
    corner: Tensor | None = None

    def whole(self, shape: torch.Size) -> "Rows":
        """Return the same with coefficients of the whole layer of a shape."""
        if self.corner is None:
            return self
        batch, count, channels, *_ = self.coefficients.shape
        places, inside = self._places(shape)
        values = self.coefficients.flatten(3) * inside.unsqueeze(2)
        full = values.new_zeros(batch, count, channels, shape[1] * shape[2])
        full.scatter_add_(3, places.unsqueeze(2).expand_as(values), values)
        return Rows(full.unflatten(3, shape[1:]))

    def inside(self, shape: torch.Size) -> "Rows":
        """Return the same with 0 where a window is outside of the layer, whole where it is no smaller."""
        if self.corner is None:
            return self
        if min(self.coefficients.shape[3] - shape[1], self.coefficients.shape[4] - shape[2]) >= 0:
            return self.whole(shape)
        inside = self._places(shape)[1].unflatten(2, self.coefficients.shape[3:]).unsqueeze(2)
        return Rows(self.coefficients * inside, self.corner)

    def _places(self, shape: torch.Size) -> tuple[Tensor, Tensor]:
        """Return the place of every value of the windows in the flat layer, and whether it is in it."""
        assert self.corner is not None
        height, width = self.coefficients.shape[3:]
        y = self.corner[..., 0, None] + torch.arange(height, device=self.corner.device)
        x = self.corner[..., 1, None] + torch.arange(width, device=self.corner.device)
        inside = ((y >= 0) & (y < shape[1])).unsqueeze(3) & ((x >= 0) & (x < shape[2])).unsqueeze(2)
        places = y.clamp(0, shape[1] - 1).unsqueeze(3) * shape[2] + x.clamp(0, shape[2] - 1).unsqueeze(2)
        return self._in_turn(places.flatten(2)), self._in_turn(inside.flatten(2))

    def _in_turn(self, values: Tensor) -> Tensor:
        """Return values of the corners for every row."""
        assert self.corner is not None
        copies = self.coefficients.shape[1] // self.corner.shape[1]
        return values if copies == 1 else torch.cat([values] * copies, 1)

    def take(self, values: Tensor) -> Tensor:
        """Return the values (batch, *feature) of a layer that belong to the coefficients, for every corner."""
        if self.corner is None:
            return values.unsqueeze(1)
        height, width = self.coefficients.shape[3:]
        low = (-self.corner).amax((0, 1)).clamp_min(0)
        size = torch.tensor([height, width], device=low.device)
        high = (self.corner.amax((0, 1)) + size - torch.tensor(values.shape[2:], device=low.device)).clamp_min(0)
        (top, left), (bottom, right) = low.tolist(), high.tolist()
        padded = functional.pad(values, (left, right, top, bottom))
        windows = padded.unfold(2, height, 1).unfold(3, width, 1)
        sample = torch.arange(len(values), device=low.device).unsqueeze(1)
        return windows[sample, :, self.corner[..., 0] + top, self.corner[..., 1] + left]

    def times(self, values: Tensor) -> Tensor:
        """Return the coefficients times what `take` returns."""
        if values.shape[1] in (1, self.coefficients.shape[1]):
            return self.coefficients * values
        return (self.coefficients.unflatten(1, (-1, values.shape[1])) * values.unsqueeze(1)).flatten(1, 2)

    def blend(self, below: Tensor, above: Tensor) -> "Rows":
        """Return positive coefficients times one of two values, and negative ones times the other; as from `take`."""
        count = max(below.shape[1], above.shape[1])
        parts = self.coefficients.unflatten(1, (-1, count)) if count > 1 else self.coefficients.unsqueeze(1)
        found = torch.where(parts > 0, below.unsqueeze(1), above.unsqueeze(1)) * parts
        return Rows(found.flatten(1, 2), self.corner)

    def dot(self, values: Tensor) -> Tensor:
        """Return the sums (batch, row) of coefficients times the values (batch, *feature) of the layer."""
        if self.corner is None:
            return torch.bmm(self.coefficients.flatten(2), values.flatten(1).unsqueeze(2)).squeeze(2)
        return self.times(self.take(values)).flatten(2).sum(2)

    def __add__(self, other: "Rows") -> "Rows":  # pyright: ignore[reportIncompatibleMethodOverride]
        """Return the sums of the functions; windows that begin at different places are widened."""
        if self.corner is None or other.corner is None:
            assert self.corner is other.corner
            return Rows(self.coefficients + other.coefficients)
        corner = torch.minimum(self.corner, other.corner)
        ends = [self.corner + _size(self.coefficients), other.corner + _size(other.coefficients)]
        height, width = (torch.maximum(*ends) - corner).amax((0, 1)).tolist()
        first, second = (each._widened(corner, height, width) for each in (self, other))
        return Rows(first + second, corner)

    def _widened(self, corner: Tensor, height: int, width: int) -> Tensor:
        """Return the coefficients in wider windows; all begin equally far from the old ones."""
        assert self.corner is not None
        top, left = (self.corner - corner)[0, 0].tolist()
        if not bool((self.corner - corner == self.corner.new_tensor([top, left])).all()):
            raise AssertionError("windows of branches differ by row")
        below, right = height - top - self.coefficients.shape[3], width - left - self.coefficients.shape[4]
        return functional.pad(self.coefficients, (left, right, top, below))


def _size(coefficients: Tensor) -> Tensor:
    return torch.tensor(coefficients.shape[3:], device=coefficients.device)
