"""Rules for layers that join two branches."""

import torch
from torch import Tensor

from withstand.certificates.rows import Interval, Rows


class Sum:
    """The sum of two branches, or their difference."""

    def __init__(self, sign: float) -> None:
        self.sign = sign

    def interval(self, first: Interval, second: Interval) -> Interval:
        """Add the bounds."""
        low, high = (second.lower, second.upper) if self.sign > 0 else (-second.upper, -second.lower)
        return Interval(first.lower + low, first.upper + high)

    def back_to(self, rows: Rows, place: int) -> Rows:
        """Return the part of the functions that depends on one of the branches."""
        return rows if place == 0 or self.sign > 0 else Rows(-rows.coefficients, rows.corner)


class Concatenation:
    """Branches one after the other along the first axis of a sample: channels or features."""

    def __init__(self, sizes: list[int]) -> None:
        self.sizes = sizes

    def interval(self, *branches: Interval) -> Interval:
        """Join the bounds."""
        return Interval(*(torch.cat(each, 1) for each in zip(*branches, strict=True)))

    def back_to(self, rows: Rows, place: int) -> Rows:
        """Return the part of the functions that depends on one of the branches."""
        part: Tensor = rows.coefficients.split(self.sizes, 2)[place]
        return Rows(part, rows.corner)
