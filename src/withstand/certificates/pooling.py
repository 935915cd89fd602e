"""Rules for maximum pooling."""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from withstand.certificates.rows import ROUNDING, Interval, Rows


class Picks(NamedTuple):
    """Inputs below and above the maximum of every window.

    Attributes:
        lower: Number of an input in the flat map (batch, channel, window) that is at most the maximum.
        upper: Number of the input that may be largest.
        slope: The maximum is at most slope times that input plus `shift`.
        shift: See above.
        pool: The rule.
    """

    lower: Tensor
    upper: Tensor
    slope: Tensor
    shift: Tensor
    pool: "Maximum"

    def back(self, rows: Rows) -> tuple[Rows, Tensor]:
        """Return functions of the inputs that are at most these functions of the outputs, and their constants."""
        after, pool = self.pool.after, self.pool
        if rows.corner is not None and not pool.tiles:
            rows = rows.whole(after)
        positive, negative = rows.coefficients.clamp_min(0), rows.coefficients.clamp_max(0)
        shift = self.shift.unflatten(2, after[1:])
        constant = Rows(negative, rows.corner).dot(shift)
        if rows.corner is not None:
            return self._back_by_window(rows.coefficients, rows.corner), constant
        batch, count, channels, *_ = positive.shape
        found = positive.new_zeros(batch, count, channels, pool.before[1] * pool.before[2])
        weighted = negative.flatten(3) * self.slope.unsqueeze(1)
        for index, values in ((self.lower, positive.flatten(3)), (self.upper, weighted)):
            found = found.scatter_add(3, index.unsqueeze(1).expand_as(values), values)
        return Rows(found.unflatten(3, pool.before[1:])), constant

    def _back_by_window(self, coefficients: Tensor, corner: Tensor) -> Rows:
        """Spread every coefficient over the inputs of its window, and keep the chosen one."""
        size = self.pool.before[1] * self.pool.before[2]
        chosen = []
        for index, values in ((self.lower, torch.ones_like(self.slope)), (self.upper, self.slope)):
            flat = values.new_zeros(*values.shape[:2], size).scatter(2, index, values)
            chosen.append(flat.unflatten(2, self.pool.before[1:]))
        high, wide = self.pool.kernel
        inner = corner * corner.new_tensor(self.pool.kernel)
        spread = Rows(coefficients.repeat_interleave(high, 3).repeat_interleave(wide, 4), inner)
        return spread.blend(*map(spread.take, chosen)).inside(self.pool.before)


class Maximum:
    """The maximum of windows of a map.

    Attributes:
        before: Shape of the map of one sample.
        after: Shape of the output.
        windows: Numbers in the flat map, (window, size); -1 where a window is smaller.
        kernel: Height and width of a window.
        tiles: Whether windows are beside each other without overlap or padding.
    """

    def __init__(self, before: torch.Size, after: torch.Size, rows: list[list[int]], columns: list[list[int]]) -> None:
        """Take the rows and the columns of the map that belong to each row and column of windows, -1 for none."""
        self.before, self.after = before, after
        self.kernel = (len(rows[0]), len(columns[0]))
        place = [
            [y * before[2] + x if y >= 0 and x >= 0 else -1 for y in high for x in wide]
            for high in rows
            for wide in columns
        ]
        self.windows = torch.tensor(place)
        plain = [
            [[start * size + step for step in range(size)] for start in range(count)]
            for count, size in zip(after[1:], self.kernel, strict=True)
        ]
        self.tiles = [rows, columns] == plain

    def _values(self, x: Tensor) -> Tensor:
        """Return the values of each window, (batch, channel, window, size)."""
        windows = self.windows.to(x.device)
        padded = functional.pad(x.flatten(2), (0, 1), value=-torch.inf)
        return padded[..., windows]  # -1 is the last one

    def interval(self, of: Interval) -> Interval:
        """Return the maximum of both bounds."""
        return Interval(*(self._values(each).amax(3).unflatten(2, self.after[1:]) for each in of))

    def relax(self, over: Interval) -> Picks:
        """Take the input with the highest lower bound below, and that with the highest upper bound above.

        With v the second highest upper bound, the maximum is at most max(input, v), so at most its chord.
        """
        lower, upper = self._values(over.lower), self._values(over.upper)
        highest, at = lower.max(3)
        windows = self.windows.to(at.device)
        numbers = torch.arange(len(windows), device=at.device)
        own, top = upper.max(3)
        rest = upper.scatter(3, top.unsqueeze(3), -torch.inf).amax(3)
        rest = torch.maximum(rest, highest)  # finite for windows of one input, else without effect
        least = lower.gather(3, top.unsqueeze(3)).squeeze(3)
        width = (own - least).clamp_min(1e-30)
        is_top = least >= rest
        slope = torch.where(is_top, 1.0, ((own - rest) / width).clamp(0, 1))
        shift = torch.maximum(rest - slope * least, own - slope * own)
        shift = torch.where(is_top, 0.0, shift + ROUNDING * torch.maximum(own.abs(), least.abs()))
        # A surely largest input is also the best one below.
        at = torch.where(is_top, top, at)
        return Picks(windows[numbers, at], windows[numbers, top], slope, shift, self)

    def is_open(self, over: Interval) -> Tensor:
        """Where an input may be the maximum of a window."""
        highest = self._values(over.lower).amax(3, keepdim=True)
        rivals = (self._values(over.upper) > highest) & (self.windows >= 0).to(highest.device)
        flat = torch.zeros_like(over.lower).flatten(2)
        index = self.windows.to(highest.device).clamp_min(0).flatten()
        flat.scatter_add_(2, index.expand(*flat.shape[:2], -1), rivals.flatten(2).to(flat))
        return (flat > 0).view_as(over.lower)


def windows(size: int, kernel: int, stride: int, padding: int, dilation: int, count: int) -> list[list[int]]:
    """Return the places along one side that belong to each window.

    Example:
        >>> windows(4, 2, 2, 0, 1, 2)
        [[0, 1], [2, 3]]
    """
    starts = [number * stride - padding for number in range(count)]
    found = [[start + step * dilation for step in range(kernel)] for start in starts]
    return [[place if 0 <= place < size else -1 for place in each] for each in found]


def adaptive_windows(size: int, count: int) -> list[list[int]]:
    """Return the places along one side that belong to each window of adaptive pooling.

    Example:
        >>> adaptive_windows(3, 2)
        [[0, 1], [1, 2]]
    """
    ranges = [range(number * size // count, -(-(number + 1) * size // count)) for number in range(count)]
    most = max(map(len, ranges))
    return [[*each, *[-1] * (most - len(each))] for each in ranges]
