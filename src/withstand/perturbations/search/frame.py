"""Frame: coordinates in which every ball has radius 1."""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from withstand.data.space import Space
from withstand.functional import balls
from withstand.functional.balls import Norm
from withstand.functional.changes import Options
from withstand.functional.random import Rng, uniform
from withstand.functional.tensors import Labels, PerRow, Points
from withstand.perturbations.ball import Ball, legal

# Attacks aim at a ball that is smaller by this share, so that rounding does not carry points out of the true one.
SHRINK = 1e-6

Flat = Float[Tensor, "batch feature"]
Picks = Int[Tensor, "batch change"]


class Place(NamedTuple):
    """A point around each row.

    Attributes:
        u: Displacement of each feature, in radii.
        picks: Number of the option of each discrete change.
    """

    u: Flat
    picks: Picks

    def rows(self, chosen: Tensor) -> "Place":
        """Return the places of some rows (indices or a mask)."""
        return Place(self.u[chosen], self.picks[chosen])

    def put(self, rows: Tensor, places: "Place") -> None:
        """Replace the places of some rows (indices)."""
        self.u[rows], self.picks[rows] = places.u, places.picks

    def where(self, condition: Tensor, other: "Place") -> "Place":
        """Return these places where a condition per row holds, and others elsewhere."""
        condition = condition[:, None]
        return Place(torch.where(condition, self.u, other.u), torch.where(condition, self.picks, other.picks))


class Frame:
    """Rows of a batch with ball, box, fixed features and discrete changes, in coordinates u = (point - x) / radius.

    Features that do not move have radius 0, and u = 0. Attacks are written in these coordinates, where every ball has
    radius 1, whatever its radii and the box.

    Attributes:
        x: The centres.
        ball: The ball around each of them.
        space: The input space.
        norm: The norm of u.
        radii: Radius of each feature.
        low: Lowest u in the box, at most 0; minus infinity without a box.
        high: Highest u in the box.
        options: Values of discrete changes, one entry per change.
    """

    norm: Norm

    def __init__(self, x: Points, ball: Ball, space: Space) -> None:
        """Compute the coordinates of a batch.

        Raises:
            InputError: If the ball does not fit; see `Ball.radii`.
        """
        self.x, self.ball, self.space, self.norm = x, ball, space, ball.norm
        flat = x.flatten(1)
        radii = torch.as_tensor(ball.radii(x, space=space), dtype=x.dtype, device=x.device)
        radii = radii * (1 - SHRINK)
        self.radii = radii.expand(x.shape).flatten(1) if len(x) else torch.zeros_like(flat)
        moves = self.radii > 0
        box = (-torch.inf, torch.inf) if space.box is None else space.box
        per_radius = torch.where(moves, self.radii, 1)
        self.low = torch.where(moves, (box[0] - flat) / per_radius, 0).clamp_max(0)
        self.high = torch.where(moves, (box[1] - flat) / per_radius, 0).clamp_min(0)
        self.options = ball.options(x, space=space)

    def __len__(self) -> int:
        return len(self.x)

    @property
    def centre(self) -> Place:
        """The rows themselves."""
        picks = [each.nearest(self.x) for each in self.options]
        return Place(torch.zeros_like(self.low), self._stacked(picks))

    def rows(self, chosen: Tensor) -> "Frame":
        """Return the frame of some rows (indices or a mask)."""
        part = object.__new__(Frame)
        part.x, part.ball, part.space, part.norm = self.x[chosen], self.ball, self.space, self.norm
        part.radii, part.low, part.high = self.radii[chosen], self.low[chosen], self.high[chosen]
        part.options = [Options(each.inputs, each.own[chosen], each.values[chosen]) for each in self.options]
        return part

    def clip(self, u: Float[Tensor, "*draw batch feature"]) -> Float[Tensor, "*draw batch feature"]:
        """Return u clipped to the box; features that do not move get 0."""
        return torch.maximum(torch.minimum(u, self.high), self.low)

    def project(self, u: Flat, radius: float = 1.0) -> Flat:
        """Return the nearest point of the ball with this radius, within the box; in l2 an approximation of it."""
        if self.norm == "l1":
            return balls.project_l1(u, radius, self.low, self.high)
        return self.clip(balls.project(u, self.norm, radius))

    def uphill(self, gradient: Flat) -> Flat:
        """Return the step to the unit sphere along which a linear function with this gradient grows most."""
        return balls.uphill(gradient, self.norm)

    def length(self, u: Flat) -> PerRow:
        """Return the norm of u: the distance in radii."""
        return balls.distance(u, self.norm)

    def num_changed(self, place: Place) -> PerRow:
        """Return how many fields differ from the row's: features, and discrete changes as one field each."""
        count = (place.u != 0).sum(1)
        for number, each in enumerate(self.options):
            chosen = each.values[torch.arange(len(self), device=count.device), place.picks[:, number]]
            count = count + (chosen != each.own).any(1)
        return count.to(place.u.dtype)

    def is_inside(self, u: Flat) -> Bool[Tensor, " batch"]:
        """Return which u lie in the unit ball, up to what it was shrunk by."""
        return self.length(u) <= 1 + SHRINK / 2

    def sample(self, *, rng: Rng) -> Place:
        """Return a point per row, uniform in the unit ball before clipping, with options drawn at random."""
        fixed = self.radii == 0
        shape, device = tuple(self.low.shape), self.x.device
        u = balls.sample(shape, self.norm, num_draws=1, rng=rng, device=device, fixed=fixed)[0]
        picks = [(uniform((len(self), 1), rng=rng, device=device)[:, 0] * each.num).long() for each in self.options]
        return Place(self.clip(u.to(self.x.dtype)), self._stacked(picks))

    def points(self, place: Place) -> Points:
        """Return the points at some places: in the box, and in the unit ball where u is, in spite of rounding."""
        moved = self.space.clip(self.x + (place.u * self.radii).view_as(self.x))
        moved = torch.where((self.radii > 0).view_as(self.x), moved, self.x)
        # The last digit of x + u r may be large compared with a small radius r; one digit towards x lies inside again.
        outside = self.is_inside(place.u) & ~self.is_inside((moved - self.x).flatten(1) / self.radii.clamp_min(1e-30))
        moved = torch.where(outside.view(-1, *[1] * (moved.ndim - 1)), torch.nextafter(moved, self.x), moved)
        for number, each in enumerate(self.options):
            each.put(moved, place.picks[:, number])
        own = self.radii / (1 - SHRINK)
        return legal(self.x, moved, norm=self.norm, radii=own, options=self.options, rules=self.space.rules)

    def place_of(self, points: Points) -> Place:
        """Return the places of some points: the inverse of `points`."""
        delta = (points - self.x).flatten(1)
        u = torch.where(self.radii > 0, delta / torch.where(self.radii > 0, self.radii, 1), 0)
        return Place(u, self._stacked([each.nearest(points) for each in self.options]))

    def best_picks(self, gradient: Float[Tensor, "batch *feature"]) -> Picks:
        """Return the options that a linear function with this gradient at the inputs prefers."""
        return self._stacked([each.gains(gradient).argmax(1) for each in self.options])

    def best_gains(self, gradient: Float[Tensor, "batch *feature"]) -> Float[Tensor, "batch change"]:
        """Return by how much a linear function with this gradient grows from the row to these options."""
        gains = [each.gains(gradient).amax(1) for each in self.options]
        return torch.stack(gains, 1).to(self.low.dtype) if gains else self.low.new_zeros(len(self), 0)

    def _stacked(self, picks: list[Labels]) -> Picks:
        if not picks:
            return torch.zeros(len(self), 0, dtype=torch.int64, device=self.x.device)
        return torch.stack(picks, 1)
