"""Points that differ from a place in one feature or discrete change, and their combinations."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from withstand.functional.random import RowStreams, uniform
from withstand.functional.tensors import PerRow
from withstand.perturbations.search.frame import Frame

NUM_SPREAD = 6  # values of a feature between the ends of its interval
SHORTER = (0.0, 0.5, 0.8, 0.95)  # shares of a feature's displacement that are tried in l1 and l2 balls

# Features (in radii) and then discrete changes (numbers of options).
Coordinates = Float[Tensor, "batch coordinate"]
Candidates = Float[Tensor, "batch candidate coordinate"]
Values = Float[Tensor, "batch coordinate value"]


class SingleMoves(NamedTuple):
    """Values of single coordinates around a place.

    Attributes:
        frame: The rows.
        grid: The values of each coordinate.
        swept: The coordinates that are tried.
        points: The points to try, by coordinate and value; the last ones may be left out.
    """

    frame: Frame
    grid: Values
    swept: Int[Tensor, "batch swept"]
    points: Candidates

    @classmethod
    def around(cls, frame: Frame, here: Coordinates, *, is_fine: bool, most: int, rng: RowStreams) -> "SingleMoves":
        """Return values of every coordinate, and the points with one of them each.

        Args:
            frame: The rows.
            here: The place.
            is_fine: Whether values between the ends of intervals are among them.
            most: Most points per row; coordinates that do not fit are left out at random.
            rng: One source per row.
        """
        batch, size = here.shape
        draws = uniform((batch, size * (NUM_SPREAD + 1) + 1), rng=rng, device=here.device)
        order, jitter, coin = draws.split([size, size * NUM_SPREAD, 1], 1)
        grid = _grid(frame, here, jitter.view(batch, size, NUM_SPREAD), is_fine=is_fine, near=coin < 0.5)
        num = grid.shape[2]
        low, high = limits(frame)
        swept = (order + (low == high)).argsort(1)[:, : max(1, min(size, most // num))]
        values = grid.gather(1, swept[:, :, None].expand(-1, -1, num))
        index = swept[:, :, None, None].expand(-1, -1, num, 1)
        points = here[:, None, None].expand(-1, swept.shape[1], num, -1).clone().scatter_(3, index, values[..., None])
        moved = torch.zeros_like(points).scatter_(3, index, 2.0) + order[:, None, None]
        return cls(frame, grid, swept, fitted(frame, points.flatten(1, 2), moved.flatten(1, 2))[:, :most])

    def keep(self, on: Bool[Tensor, " batch"]) -> "SingleMoves":
        """Return the rows of a mask."""
        return SingleMoves(self.frame.rows(on), self.grid[on], self.swept[on], self.points[on])

    def table(self, value: Float[Tensor, "batch candidate"]) -> Values:
        """Return the values of an objective at the points by coordinate; minus infinity where it was not tried."""
        num = self.grid.shape[2]
        padded = value.new_full((len(value), self.swept.shape[1] * num), -torch.inf)
        padded[:, : value.shape[1]] = value
        found = torch.full_like(self.grid, -torch.inf, dtype=value.dtype)
        index = self.swept[:, :, None].expand(-1, -1, num)
        return found.scatter_(1, index, padded.view(len(value), -1, num))

    def best(self, table: Values) -> Coordinates:
        """Return the value of each coordinate at which an objective is largest; the shortest of several."""
        shortest = torch.where(table == table.amax(2, keepdim=True), -self.grid.abs(), -torch.inf).argmax(2)
        return self.grid.gather(2, shortest[..., None])[..., 0]

    def best_together(self, here: Coordinates, table: Values, now: PerRow, *, counts: Sequence[int]) -> Candidates:
        """Return points with the best values of those coordinates that gain most, for several numbers of them."""
        best, power = self.best(table), power_of(self.frame)
        gain = (table.amax(2) - now[:, None]).clamp_min(0)
        if power:
            features = self.frame.low.shape[1]
            cost = torch.where(torch.arange(here.shape[1], device=here.device) < features, best.abs() ** power, 0)
            gain = gain / (cost + 0.05)
        rank = gain.argsort(1, descending=True).argsort(1)
        taken = torch.stack([(rank < count) & (gain > 0) for count in counts], 1)
        gain = gain[:, None]
        priority = gain + taken * (1 + gain.amax(2, keepdim=True))
        return fitted(self.frame, torch.where(taken, best[:, None], here[:, None]), priority)

    def shorter(self, here: Coordinates, table: Values, now: PerRow) -> Candidates:
        """Return the point of the shortest displacements that each alone do not lower an objective."""
        same = torch.where(table >= now[:, None, None], -self.grid.abs(), -torch.inf)
        short = self.grid.gather(2, same.argmax(2)[..., None])[..., 0]
        features = torch.arange(here.shape[1], device=here.device) < self.frame.low.shape[1]
        found = torch.where(features & (same.amax(2) > -torch.inf) & (short.abs() < here.abs()), short, here)
        return found[:, None]

    def slope(self, here: Coordinates, table: Values, now: PerRow) -> Float[Tensor, "batch feature"]:
        """Return an estimate of an objective's gradient, from the best value of each feature."""
        step = self.best(table) - here
        gain = table.amax(2) - now[:, None]
        return torch.where((step != 0) & (gain > 0), gain / step, 0).to(here.dtype)[:, : self.frame.low.shape[1]]


def _grid(frame: Frame, here: Coordinates, jitter: Tensor, *, is_fine: bool, near: Tensor) -> Values:
    """Return values for every coordinate: the ends, values spread between them, and shorter displacements."""
    low, high = limits(frame)
    power, features = power_of(frame), frame.low.shape[1]
    if power:
        # With the other features where they are, only so much room is left; without them, all of it.
        mass = here[:, :features].abs().pow(power)
        room = (1 - mass.sum(1, keepdim=True) + mass).clamp(0, 1)
        room = room.sqrt() if power == 2 else room
        room = torch.nn.functional.pad(torch.where(near, room, 1), (0, here.shape[1] - features), value=1e9)
        low, high = torch.maximum(low, -room), torch.minimum(high, room)
    grid = [low[..., None], high[..., None]]
    if is_fine:
        strata = (torch.arange(NUM_SPREAD, device=here.device) + jitter) / NUM_SPREAD
        grid.append(low[..., None] + strata * (high - low)[..., None])
    if power:
        grid.append(here[..., None] * torch.tensor(SHORTER, device=here.device, dtype=here.dtype))
    found = torch.cat(grid, 2).to(here.dtype)
    for number, each in enumerate(frame.options, start=features):
        first = (jitter[:, number, :1] * each.num).floor() if each.num > found.shape[2] else 0
        found[:, number] = (first + torch.arange(found.shape[2], device=here.device)) % each.num
    return found


def fitted(frame: Frame, points: Candidates, priority: Float[Tensor, "batch #candidate coordinate"]) -> Candidates:
    """Return points in the unit ball: in order of priority, features take the length they need, or what is left."""
    features, power = frame.low.shape[1], power_of(frame)
    if not power:
        return points
    u = points[..., :features]
    order = priority[..., :features].argsort(2, descending=True)
    mass = u.abs().pow(power).gather(2, order)
    left = (1 - mass.cumsum(2) + mass).clamp_min(0)
    allowed = torch.zeros_like(u).scatter_(2, order, torch.minimum(mass, left))
    allowed = allowed.sqrt() if power == 2 else allowed
    return torch.cat([torch.minimum(u.abs(), allowed) * u.sign(), points[..., features:]], 2)


def limits(frame: Frame) -> tuple[Coordinates, Coordinates]:
    """Return the lowest and highest value of every coordinate."""
    last = [torch.full_like(frame.low[:, :1], each.num - 1) for each in frame.options]
    low = torch.cat([frame.low.clamp_min(-1), *(torch.zeros_like(each) for each in last)], 1)
    return low, torch.cat([frame.high.clamp_max(1), *last], 1)


def power_of(frame: Frame) -> int:
    """Return the exponent of the norm; 0 for linf, where features do not compete."""
    return {"l1": 1, "l2": 2, "linf": 0}[frame.norm]
