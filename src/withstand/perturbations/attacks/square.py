"""Random search over windows of an image or subsets of a row (Square)."""

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import ClassVar, NamedTuple, Protocol

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from withstand.functional.margins import margin
from withstand.functional.random import RowStreams, uniform
from withstand.limits import PositiveInt, Share
from withstand.perturbations.attacks.attack import Attack
from withstand.perturbations.ball import Ball
from withstand.perturbations.base import Perturbation
from withstand.perturbations.search.frame import Frame, Place
from withstand.perturbations.search.target import Target

# The share of the inputs that change halves after each of these shares of the queries.
HALVINGS = (0.001, 0.005, 0.02, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8)
QUERIES_AT_ONCE = 64  # queries whose random numbers are drawn together
NUMBERS_AT_ONCE = 65536

Numbers = Float[Tensor, "batch number"]
# Displacements of images by channel; those of other inputs have one group.
Grouped = Float[Tensor, "batch group feature"]


@dataclass(frozen=True, kw_only=True)
class Square(Attack):
    """Random search without gradients: changes a window of an image, or a subset of a row, and keeps what helps.

    In an linf ball, the features of the window move to an end of their interval. In l2 and l1 balls, length moves from
    one window to another. Windows shrink over the queries. Subsets include discrete inputs.

    Attributes:
        num_queries: Forward passes per row, at least 1.
        share: Share of the inputs that the first queries change, at least 0 and below 1; it is halved nine times.

    Source:
        Andriushchenko, Croce, Flammarion, Hein 2020, arXiv 1912.00049; fra31/auto-attack, autoattack/square.py, commit
        a392200.
        Differs: windows and signs are drawn for each row; rows without image axes; the schedule is scaled to the
        number of queries; a point that is as good as the last one replaces it.
    """

    needs_gradient: ClassVar[bool] = False
    num_queries: PositiveInt = 5000
    share: Share = 0.8

    def search(self, target: Target, *, rng: RowStreams) -> None:
        """Try one change per query; a row keeps the change unless the lead of another class falls."""
        rows = target.rows
        if len(rows) == 0:
            return
        frame = target.frame.rows(rows)
        moves: _Moves = _Windows(frame) if frame.x.ndim == 4 else _Subsets(frame)
        best = moves.start(frame, uniform((len(rows), moves.num_first), rng=rng.subset(rows), device=frame.x.device))
        value = margin(target.logits(best, rows), target.y[rows])
        for share, batch in _batches(self.share, self.num_queries, moves.num):
            numbers = uniform((len(rows), batch, moves.num), rng=rng.subset(rows), device=frame.x.device)
            for query in range(batch):
                on = value < 0
                if not on.all():
                    rows, frame, best, value, numbers = rows[on], frame.rows(on), best.rows(on), value[on], numbers[on]
                if len(rows) == 0:
                    return
                tried = moves.change(frame, best, share[query], numbers[:, query])
                new = margin(target.logits(tried, rows), target.y[rows])
                better = ~(new < value)
                best, value = tried.where(better, best), torch.where(better, new, value)

    @classmethod
    def examples(cls) -> list[Perturbation]:
        """One ball of each norm."""
        return [cls(ball=Ball(norm, 0.3), num_queries=20) for norm in ("linf", "l2", "l1")]


class _Moves(Protocol):
    """Random changes of a place.

    Attributes:
        num_first: Uniform numbers per row that the start takes.
        num: Uniform numbers per row that a change takes.
    """

    num_first: int
    num: int

    def start(self, frame: Frame, numbers: Numbers) -> Place: ...
    def change(self, frame: Frame, place: Place, share: float, numbers: Numbers) -> Place: ...


class _Mass(NamedTuple):
    """A move in an l2 or l1 ball: `gives` loses its length to `takes`, which is pushed along a pattern."""

    takes: Bool[Tensor, "batch group feature"]
    gives: Bool[Tensor, "batch group feature"]
    pattern: Grouped

    def moved(self, u: Grouped, power: int) -> Grouped:
        """Return the displacements after the move; length that the ball still allows is added."""
        own = torch.where(self.takes, u, 0)
        pushed = _unit(own, power) + _unit(self.pattern, power)
        unused = (1 - _mass(u, power).sum(1, keepdim=True)).clamp_min(0) / u.shape[1]
        length = (_mass(torch.where(self.takes | self.gives, u, 0), power) + unused) ** (1 / power)
        return torch.where(self.takes, _unit(pushed, power) * length, torch.where(self.gives, 0, u))


class _Windows:
    """Moves of square windows of images, with a sign per channel."""

    def __init__(self, frame: Frame) -> None:
        self.shape = tuple(frame.x.shape[1:])
        self.side = min(self.shape[1:])
        self.tile = max(1, self.shape[1] // 5)  # side of the bumps of the start
        channels, height, width = self.shape
        self.tiles = (-(-height // self.tile), -(-width // self.tile))
        self.num_first = channels * (width if frame.norm == "linf" else self.tiles[0] * self.tiles[1])
        self.num = 5 + channels

    def start(self, frame: Frame, numbers: Numbers) -> Place:
        """Return vertical stripes, or a grid of bumps, with random signs."""
        channels, height, width = self.shape
        if frame.norm == "linf":
            u = _signs(numbers).view(-1, channels, 1, width).expand(-1, -1, height, -1)
        else:
            signs = _signs(numbers).view(-1, channels, *self.tiles)
            grid = signs.repeat_interleave(self.tile, 2).repeat_interleave(self.tile, 3)
            u = (grid * _bump(self.tile).to(numbers).repeat(self.tiles))[..., :height, :width]
        return _start(frame, u)

    def change(self, frame: Frame, place: Place, share: float, numbers: Numbers) -> Place:
        """Return the place with another window."""
        _, height, width = self.shape
        side = round((share * height * width) ** 0.5)
        signs = _signs(numbers[:, 5:]).unsqueeze(2)
        if frame.norm == "linf":
            side = min(max(side, 1), self.side)
            inside, _ = self._window(numbers[:, :2], side, None)
            u = torch.where(inside, signs, place.u.view(len(frame), *signs.shape[1:2], -1))
        else:
            side = min(max(side, 3) | 1, self.side)
            takes, pattern = self._window(numbers[:, :2], side, numbers[:, 4] < 0.5)
            gives, _ = self._window(numbers[:, 2:4], side, None)
            mass = _Mass(takes, gives & ~takes, pattern * signs)
            u = mass.moved(place.u.view(len(frame), *signs.shape[1:2], -1), _power(frame))
        return Place(_projected(frame, u), place.picks)

    def _window(self, corner: Tensor, side: int, upright: Tensor | None) -> tuple[Tensor, Tensor]:
        """Return which pixels lie in a window, and a bump in it, of shape (batch, 1, pixel)."""
        _, height, width = self.shape
        extent = torch.tensor([height - side + 1, width - side + 1], device=corner.device)
        row, column = (
            torch.arange(end, device=corner.device) - begin[:, None]
            for end, begin in zip((height, width), (corner * extent).long().T, strict=True)
        )
        rows_in, columns_in = (row >= 0) & (row < side), (column >= 0) & (column < side)
        inside = (rows_in[:, :, None] & columns_in[:, None, :]).flatten(1)[:, None]
        if upright is None:
            return inside, inside
        bump = _bump(side).to(corner)
        row, column = row.clamp(0, side - 1)[:, :, None], column.clamp(0, side - 1)[:, None, :]
        pattern = torch.stack([bump, bump.T])[upright.long()[:, None, None], row, column]
        return inside, pattern.flatten(1)[:, None] * inside


class _Subsets:
    """Moves of random subsets of the features and discrete changes of rows, with a sign per feature."""

    def __init__(self, frame: Frame) -> None:
        self.features, self.changes = frame.low.shape[1], len(frame.options)
        self.num_first = self.features
        self.num = 3 * self.features + 2 * self.changes

    def start(self, frame: Frame, numbers: Numbers) -> Place:
        """Return a corner of the box of signs."""
        return _start(frame, _signs(numbers))

    def change(self, frame: Frame, place: Place, share: float, numbers: Numbers) -> Place:
        """Return the place with other values in a subset."""
        features, changes = self.features, self.changes
        moving = torch.cat([frame.radii > 0, torch.ones_like(place.picks, dtype=torch.bool)], 1)
        order, signs, second, options = numbers.split([features + changes, features, features, changes], 1)
        chosen = _smallest(order, moving, share)
        takes = chosen[:, None, :features]
        u = place.u[:, None]
        if frame.norm == "linf":
            u = torch.where(takes, _signs(signs)[:, None], u)
        elif frame.norm == "l2":
            # Length need not move as a whole: a Gaussian step of a random size reaches every direction.
            size = 4 * signs[:, :1, None].square().square()
            u = _unit(u + size * takes * _normal(second)[:, None], 2)
        else:
            gives = _smallest(second, moving[:, :features], share)[:, None] & ~takes
            u = _Mass(takes, gives, takes * _signs(signs)[:, None]).moved(u, 1)
        picks = place.picks
        if changes:
            sizes = torch.tensor([each.num for each in frame.options], device=picks.device)
            picks = torch.where(chosen[:, features:], (options * sizes).long(), picks)
        return Place(_projected(frame, u), picks)


def _batches(share: float, num_queries: int, num: int) -> Iterator[tuple[list[float], int]]:
    """Return the share of every query after the first, in batches."""
    step = max(1, min(QUERIES_AT_ONCE, NUMBERS_AT_ONCE // num))
    for first in range(1, num_queries, step):
        batch = range(first, min(first + step, num_queries))
        yield [share / 2 ** bisect_left(HALVINGS, query / num_queries) for query in batch], len(batch)


def _smallest(order: Tensor, moving: Tensor, share: float) -> Tensor:
    """Return a random subset of what moves: a share of it, at least one."""
    count = (share * moving.sum(1, keepdim=True)).round().clamp_min(1)
    rank = order.masked_fill(~moving, torch.inf).argsort(1).argsort(1)
    return (rank < count) & moving


def _start(frame: Frame, u: Tensor) -> Place:
    u = u.flatten(1) * (frame.radii > 0)
    if frame.norm != "linf":
        u = _unit(u[:, None], _power(frame))[:, 0]
    return Place(_projected(frame, u), frame.centre.picks)


def _projected(frame: Frame, u: Tensor) -> Tensor:
    return frame.project(u.flatten(1).to(frame.low.dtype))


def _signs(numbers: Tensor) -> Tensor:
    return torch.where(numbers < 0.5, -1.0, 1.0)


def _normal(numbers: Tensor) -> Tensor:
    return torch.special.ndtri(numbers.contiguous().clamp(1e-6, 1 - 1e-6))


def _power(frame: Frame) -> int:
    return {"l1": 1, "l2": 2}[frame.norm]


def _mass(u: Tensor, power: int) -> Tensor:
    return u.abs().pow(power).sum(2, keepdim=True)


def _unit(u: Tensor, power: int) -> Tensor:
    return u / _mass(u, power).pow(1 / power).clamp_min(1e-12)


@cache
def _bump(side: int) -> Tensor:
    """Return a positive bump above a negative one, that fill a window."""
    halves = [sign * _peak(height, side) for sign, height in ((1, side // 2), (-1, side - side // 2)) if height]
    return torch.cat(halves)


def _peak(height: int, width: int) -> Tensor:
    """Return a sum of centred rectangles that grow by a pixel on each side, the n-th with a weight of 1 / n^2."""
    row, column = ((torch.arange(end) - end // 2).abs() for end in (height, width))
    ring = torch.maximum(row[:, None], column[None])
    weights = 1 / torch.arange(1, max(height, width) // 2 + 2) ** 2
    tails = weights.flip(0).cumsum(0).flip(0)
    peak = tails[ring]
    return peak / peak.square().sum().sqrt()
