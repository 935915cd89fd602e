"""Distances from decisions alone: a walk along the decision boundary."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from withstand.functional import balls
from withstand.functional.margins import is_wrong
from withstand.functional.random import RowStreams, normal, uniform
from withstand.functional.tensors import PerRow
from withstand.limits import PositiveInt
from withstand.perturbations.attacks.attack import Attack
from withstand.perturbations.ball import Ball
from withstand.perturbations.base import Perturbation
from withstand.perturbations.search.frame import Flat, Frame, Picks, Place
from withstand.perturbations.search.target import Target

NUM_STARTS = 24  # random points among which a wrong one is sought
HALVINGS = 12  # of the bracket around the boundary
NUM_PROBES = 32  # points from which the first normal is estimated; later ones take more
PROBE = 0.1  # their distance from the boundary point, as a share of its l2 length
STEPS = (0.03, 0.2, 1.0, 5.0)  # along the normal, in lengths of the boundary point
LENGTHS = (0.6, 0.9, 0.98, 0.998)  # to which each step is shortened, in the same unit
MEMORY = 0.7  # weight of what the last step found about the normal in the next
MOST_STEPS = 8  # whose probes the normal is fitted to
MOST_VALUES = 2**19  # of all probes of a row; with more, normals are averaged instead
FIT_STEPS, SHARP = 20, 4.0  # of the fit, and the sharpness of its loss


@dataclass(frozen=True, kw_only=True)
class BoundaryWalk(Attack):
    """Search for the nearest misclassified point, using predicted classes only.

    The walk starts from the nearest wrong point known, or from a random one. Bisection finds the boundary; its normal
    is fitted to the predictions at random points around it. The next candidates are steps of several sizes along the
    normal, shortened to less than the present distance. Without a box, random starts lie up to about 1,000 radii away.
    Discrete inputs keep the options of the first wrong point.

    Attributes:
        num_queries: Forward passes per row, at least 1.

    Source:
        Chen, Jordan, Wainwright 2020, arXiv 1904.02144 (HopSkipJump).
        Differs: the normal is fitted to the points of several steps (averaged for inputs of very many features),
        several steps are tried at once, and l1 balls are supported.
    """

    needs_gradient: ClassVar[bool] = False
    finds_distance: ClassVar[bool] = True
    num_queries: PositiveInt = 1000

    def search(self, target: Target, *, rng: RowStreams) -> None:
        """Walk until the query budget is used up."""
        rows = target.rows
        if len(rows) == 0:
            return
        left = self.num_queries - _start(target, rows, min(NUM_STARTS, self.num_queries), rng=rng.subset(rows))
        rows = rows[target.distance[rows].isfinite()]
        rows = rows[target.distance[rows] > 0]
        frame, left = target.frame.rows(rows), left - HALVINGS
        here = _bisected(target, frame, rows, target.found.rows(rows), HALVINGS + min(left, 0))
        plane, step, known = torch.zeros_like(frame.low), 0, []
        fits = self.num_queries * frame.low.shape[1] <= MOST_VALUES
        while left > 0 and len(rows):
            step += 1
            probes = min(round(NUM_PROBES * step**0.5), left)
            moves, side = _probe(target, frame, rows, here, probes, rng=rng.subset(rows))
            if step == 1 or not fits:
                plane = MEMORY * plane + _mean(moves, side)
            if fits:
                known = [*known[1 - MOST_STEPS :], (moves, side)]
                plane = _fitted(plane, known)
            points = _aims(frame, plane, here.u)
            left -= probes + points.shape[1] + HALVINGS
            if left < 0:
                return
            wrong = _try(target, rows, points, here.picks)
            length = torch.stack([frame.length(each) for each in points.unbind(1)], 1).masked_fill(~wrong, torch.inf)
            best = points[torch.arange(len(rows), device=rows.device), length.argmin(1)]
            new = Place(torch.where(wrong.any(1, keepdim=True), best, here.u), here.picks)
            new = _bisected(target, frame, rows, new, HALVINGS)
            here = new.where(frame.length(new.u) < frame.length(here.u), here)

    @classmethod
    def examples(cls) -> list[Perturbation]:
        """A ball, and few queries."""
        return [cls(ball=Ball("l2", 0.3), num_queries=75)]


def _start(target: Target, rows: Tensor, count: int, *, rng: RowStreams) -> int:
    """Try random points, near ones first, for rows without a misclassified point; return how many were tried."""
    rng = rng.subset((new := ~target.distance[rows].isfinite()).nonzero()[:, 0])
    rows = rows[new]
    if len(rows) == 0:
        return 0
    frame = target.frame.rows(rows)
    for number in range(count):
        on = ~target.distance[rows].isfinite()
        rows, frame, rng = rows[on], frame.rows(on), rng.subset(on.nonzero()[:, 0])
        if len(rows) == 0:
            return number
        bounded = frame.low.isfinite() & frame.high.isfinite()
        draws = uniform(tuple(frame.low.shape), rng=rng, device=frame.low.device).to(frame.low.dtype)
        draws = draws.round() if number % 2 else draws
        inside = torch.where(bounded, frame.low + draws * (frame.high - frame.low), 0)
        far = normal(tuple(frame.low.shape), rng=rng, device=frame.low.device) * 2.0 ** (10 * number / NUM_STARTS)
        picks = frame.sample(rng=rng).picks if frame.options else frame.centre.picks
        u = torch.where(bounded, inside, frame.clip(far.to(frame.low.dtype) * (frame.radii > 0)))
        target.logits(Place(u, picks), rows)
    return count


def _bisected(target: Target, frame: Frame, rows: Tensor, start: Place, steps: int) -> Place:
    """Return misclassified points moved close to the boundary by bisection."""
    if len(rows) == 0:
        return start
    high = frame.length(start.u)
    low, u = torch.zeros_like(high), start.u
    for _ in range(steps):
        middle = (low + high) / 2
        shorter = _shortened(frame, start.u, middle)
        wrong = _try(target, rows, shorter[:, None], start.picks)[:, 0]
        low, high = torch.where(wrong, low, middle), torch.where(wrong, middle, high)
        u = torch.where(wrong[:, None], shorter, u)
    return Place(u, start.picks)


def _shortened(frame: Frame, u: Flat, length: PerRow) -> Flat:
    """Return the points of a given length that are nearest to some points."""
    scale = length.clamp_min(1e-12)[:, None]
    return frame.clip(balls.project(u / scale, frame.norm, 1.0) * scale)


def _probe(
    target: Target, frame: Frame, rows: Tensor, here: Place, count: int, *, rng: RowStreams
) -> tuple[Float[Tensor, "row probe feature"], Float[Tensor, "row probe"]]:
    """Return moves to random points around the boundary, of a mean square of about 1, and on which side these lie.

    The side is 1 where the model is wrong, else -1.
    """
    moving = frame.radii > 0
    draws = normal((len(rows), count, frame.low.shape[1]), rng=rng, device=here.u.device).to(here.u.dtype)
    draws = draws * moving[:, None]
    draws = draws / torch.linalg.vector_norm(draws, dim=2, keepdim=True).clamp_min(1e-12)
    size = PROBE * torch.linalg.vector_norm(here.u, dim=1)[:, None, None]
    points = here.u[:, None] + size * draws
    points = frame.clip(points.transpose(0, 1)).transpose(0, 1)
    side = 2 * _try(target, rows, points, here.picks).to(here.u.dtype) - 1
    return (points - here.u[:, None]) / size.clamp_min(1e-12) * moving.sum(1)[:, None, None].sqrt(), side


def _mean(moves: Float[Tensor, "row probe feature"], side: Float[Tensor, "row probe"]) -> Flat:
    """Return the mean move to the wrong side, of length 1."""
    # With probes on both sides, subtract their mean; with all on one side, it would cancel everything.
    mean = side.mean(1, keepdim=True)
    weight = torch.where(mean.abs() < 1, side - mean, side)
    return _unit((weight[..., None] * moves).sum(1))


def _fitted(plane: Flat, known: list[tuple[Tensor, Tensor]]) -> Flat:
    """Return the normal of length 1 that separates the sides of the probes best, as a linear classifier."""
    moves, side = (torch.cat(each, 1) for each in zip(*known, strict=True))
    ages = range(len(known) - 1, -1, -1)
    weight = torch.cat([torch.full_like(own, MEMORY**age) for age, (_, own) in zip(ages, known, strict=True)], 1)
    weight = weight / weight.sum(1, keepdim=True) * side
    plane, offset = _unit(plane), torch.zeros_like(side[:, :1])
    for _ in range(FIT_STEPS):
        # Neither products of matrices nor exponentials: their rounding depends on the number of rows.
        inside = side * ((moves * plane[:, None]).sum(2) + offset)
        pull = weight * (0.5 - SHARP / 4 * inside).clamp(0, 1)
        plane, offset = _unit(plane + (moves * pull[..., None]).sum(1)), offset + pull.sum(1, keepdim=True)
    return plane


def _unit(plane: Flat) -> Flat:
    return plane / torch.linalg.vector_norm(plane, dim=1, keepdim=True).clamp_min(1e-12)


def _aims(frame: Frame, plane: Flat, u: Flat) -> Float[Tensor, "row candidate feature"]:
    """Return points along the normal from the boundary, each shortened to several shares of the present length."""
    free = ((plane > 0) & (u < frame.high)) | ((plane < 0) & (u > frame.low))
    length, uphill = frame.length(u), frame.uphill(plane * free)
    moved = [frame.clip(u + step * length[:, None] * uphill) for step in STEPS]
    found = [_shortened(frame, each, share * length) for each in moved for share in LENGTHS]
    if frame.norm == "l1":  # a step moves a single feature, and the box may stop it
        found[-len(LENGTHS) :] = [_steepest(frame, plane, share * length) for share in LENGTHS]
    return torch.stack(found, 1)


def _steepest(frame: Frame, plane: Flat, length: PerRow) -> Flat:
    """Return the points of a given l1 length where a linear function with this gradient is highest in the box."""
    order = plane.abs().argsort(dim=1, descending=True, stable=True)
    room = torch.where(plane > 0, frame.high, -frame.low).gather(1, order)
    before = torch.cat([torch.zeros_like(room[:, :1]), room.cumsum(1)[:, :-1]], 1)
    part = torch.minimum((length[:, None] - before).clamp_min(0), room)
    return torch.zeros_like(plane).scatter(1, order, part) * plane.sign()


def _try(
    target: Target, rows: Int[Tensor, " row"], points: Float[Tensor, "row candidate feature"], picks: Picks
) -> Bool[Tensor, "row candidate"]:
    """Return at which points the model is wrong."""
    count = points.shape[1]
    logits = target.logits_at(points, picks[:, None].expand(-1, count, -1), rows)
    return is_wrong(logits.flatten(0, 1), target.y[rows].repeat_interleave(count)).view(-1, count)
