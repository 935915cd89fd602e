"""Region: the points that bounds must hold for, around each sample of a batch."""

from typing import NamedTuple

import torch
from torch import Tensor

from withstand.certificates.rows import Interval, Rows
from withstand.data.space import Space
from withstand.functional.balls import Norm
from withstand.perturbations.ball import Ball

DUAL_ORDERS = {"l1": torch.inf, "l2": 2}  # linf balls are boxes
ROUNDING = 2.0**-22  # of the sum of a point and its displacement, in float32


class Region(NamedTuple):
    """A box around each sample, and the ball within it.

    Attributes:
        box: Least and largest value of every input.
        norm: Norm of the ball; linf if the box is all.
        center: Centre of the ball, (batch, *feature).
        radii: Its radius for every input; 0 for those that the ball does not move.
        spread: How far every input may move in addition to the ball.
        is_whole: Whether the ball holds for a sample: its centre is in the space's box.
    """

    box: Interval
    norm: Norm
    center: Tensor
    radii: Tensor
    spread: Tensor
    is_whole: Tensor

    def of(self, samples: Tensor) -> "Region":
        """Return the region of some samples."""
        own = [getattr(self, name)[samples] for name in ("center", "radii", "spread", "is_whole")]
        return Region(self.box.of(samples), self.norm, *own)

    def within(self, box: Interval) -> "Region":
        """Return the part of the region in a box."""
        return self._replace(box=box)

    def least(self, rows: Rows) -> Tensor:
        """Return lower bounds of linear functions over the region, (batch, row): the better of box and ball."""
        extent = Rows(rows.coefficients.abs(), rows.corner)
        least = rows.dot(self.box.middle) - extent.dot(self.box.half)
        if self.norm == "linf":
            return least
        reach = rows.times(rows.take(self.radii))
        dual = torch.linalg.vector_norm(reach.flatten(2), DUAL_ORDERS[self.norm], dim=2)
        in_ball = rows.dot(self.center) - dual - extent.dot(self.spread)
        return torch.where(self.is_whole.unsqueeze(1), torch.maximum(least, in_ball), least)


def region_of(ball: Ball, x: Tensor, space: Space) -> Region:
    """Return the region of a ball around each sample: its points, wherever rounding puts them, within the box.

    Options of discrete inputs are spanned by an interval, which is their hull.
    """
    radii = ball.radii(x, space=space)
    radii = radii.expand_as(x) if isinstance(radii, Tensor) else torch.full_like(x, radii)
    rounding = ROUNDING * (x.abs() + radii) * (radii > 0)
    lower, upper = space.clip(x - radii - rounding), space.clip(x + radii + rounding)
    center, spread = x.clone(), rounding
    for each in ball.options(x, space=space):
        lower[:, each.inputs], upper[:, each.inputs] = each.values.amin(1), each.values.amax(1)
        center[:, each.inputs] = (lower + upper)[:, each.inputs] / 2
        spread[:, each.inputs] = (upper - lower)[:, each.inputs] / 2
    inside = (space.clip(x) == x).flatten(1).all(1)
    return Region(Interval(lower, upper), ball.norm, center, radii, spread, inside)
