"""Descent to the nearest wrong point: the loop that DDN and FMN share."""

from collections.abc import Callable
from dataclasses import dataclass, fields

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from withstand.functional import balls
from withstand.functional.margins import log_odds, margin
from withstand.functional.random import RowStreams, normal
from withstand.functional.tensors import PerRow
from withstand.perturbations.search.clock import Clock
from withstand.perturbations.search.frame import Flat, Frame, Picks, Place
from withstand.perturbations.search.target import Objective, Slope, Target

DUAL: dict[balls.Norm, balls.Norm] = {"l1": "linf", "l2": "l2", "linf": "l1"}
# Lead of the label at the row, in scaled logits, at the beginning and at the end.
SHARP = (4.0, 64.0)
# Features that an l1 step moves, over those that differ at the nearest wrong point.
SPREAD = 0.7
# Share of the schedule that is left when they become fewer.
LATE = 0.35
# Share of the largest entry below which a gradient counts as flat.
FLAT = 1e-4
# Beyond the boundary of the linear model, on which rounding would decide.
OVERSHOOT = 1.01
PATIENCE = 0.1  # see `Clock`
# Until a wrong point is found, lengths grow by this factor at least.
GROWTH = 1.2
# Share by which lengths change per step afterwards, at the beginning and at the end.
FIRST_CHANGE, LAST_CHANGE = 0.05, 0.001


@dataclass
class Nearing:
    """Rows on their way to their nearest wrong points.

    Attributes:
        rows: Their numbers in the target.
        u: Where they are.
        picks: Their options.
        lead: By how much the label's logit leads at the row.
        length: Length to which u is projected next.
        farthest: Length of the farthest corner of the box; infinity without a box.
    """

    rows: Int[Tensor, " row"]
    u: Flat
    picks: Picks
    lead: PerRow
    length: PerRow
    farthest: PerRow

    @classmethod
    def begin(cls, target: Target) -> "Nearing":
        """Start at the rows themselves."""
        rows = target.rows
        frame = target.frame.rows(rows)
        far = frame.length(torch.maximum(frame.high, -frame.low))
        start = frame.centre
        return cls(rows, start.u, start.picks, torch.ones_like(far), torch.zeros_like(far), far)

    def only(self, chosen: Bool[Tensor, " row"]) -> None:
        """Keep some rows."""
        if not chosen.all():
            for each in fields(self):
                setattr(self, each.name, getattr(self, each.name)[chosen])


# From the lengths, and how far the boundary of the linear model is: the lengths to try next, before a wrong point is
# found.
Lengths = Callable[[PerRow, PerRow], PerRow]


def come_near(target: Target, *, lengths: Lengths, steps: int, fills: bool, rng: RowStreams) -> None:
    """Step along the gradient and project to a length that shrinks where the model is wrong and grows where it is not.

    The objective is the log odds against the label, of scaled logits. The scale grows, so that the label leads by 4 at
    the row first and by 64 in the end: early steps follow all close classes, late ones only the closest. Step sizes
    fall from 1 to 0.01 of the present length. A row leaves if it is wrong unchanged, and at the end of its schedule.

    Args:
        target: The rows under attack.
        lengths: The lengths to try next, for rows without a wrong point.
        steps: Steps, at least 1.
        fills: Whether shorter displacements are stretched to the length as well.
        rng: One source per row of the target, for directions where the gradient is zero.
    """
    near = Nearing.begin(target)
    clock = Clock(len(near.rows), steps, patience=PATIENCE, device=near.u.device)
    for count in range(steps):
        if len(near.rows) == 0:
            return
        share = clock.share
        slope = target.slope(Place(near.u, near.picks), near.rows, _objective(near.lead, share))
        if count == 0:
            near.lead = -margin(slope.logits, target.y[near.rows])
            if target.frame.options:  # options may be enough
                target.logits(Place(near.u, slope.picks), near.rows)
        frame, best = target.frame.rows(near.rows), target.distance[near.rows]
        gradient = _possible(slope.gradient, near.u, frame)
        dual = balls.distance(gradient, DUAL[frame.norm])
        onward = lengths(near.length, OVERSHOOT * slope.value.abs() / dual.clamp_min(1e-30))
        near.length = torch.minimum(_next_length(near.length, onward, slope, best, share), near.farthest)
        step = (0.01 + 0.99 * share) * near.length
        direction = _direction(slope.gradient, near.u, target.found.u[near.rows], share, frame)
        near.u = near.u + step[:, None] * _filled(direction, dual == 0, frame, near.rows, rng)
        near.u, near.picks = _projected(near.u, near.length, frame, fills=fills), slope.picks
        clock.tick(best)
        left = (best > 0) & ~clock.is_over
        near.only(left)
        clock.only(left)


def _objective(lead: PerRow, share: PerRow) -> Objective:
    """Return the log odds of scaled logits, divided by the scale."""
    scale = SHARP[1] * (SHARP[0] / SHARP[1]) ** share / lead.clamp_min(1e-6)
    return lambda logits, y, _: log_odds(logits * scale[:, None], y) / scale


def _next_length(length: PerRow, onward: PerRow, slope: Slope, best: PerRow, share: PerRow) -> PerRow:
    """Return shorter lengths where the model is wrong, longer ones elsewhere; `onward` until a wrong point is found."""
    change = LAST_CHANGE + (FIRST_CHANGE - LAST_CHANGE) * share
    onward = torch.where(best.isfinite(), length * (1 + change), onward)
    return torch.where(slope.wrong, torch.minimum(length * (1 - change), best), onward)


def _possible(gradient: Flat, u: Flat, frame: Frame) -> Flat:
    """Return the gradient without what leads out of the box."""
    return torch.where(((gradient > 0) & (u >= frame.high)) | ((gradient < 0) & (u <= frame.low)), 0, gradient)


def _direction(gradient: Flat, u: Flat, nearest: Flat, share: PerRow, frame: Frame) -> Flat:
    """Return the steepest direction of the norm, or near it: one that rounding of the gradient does not turn."""
    if frame.norm == "linf":
        # Not the sign: features whose gradient is rounding only would jump.
        gradient = _possible(gradient, u, frame)
        return (gradient / (FLAT * gradient.abs().amax(1, keepdim=True)).clamp_min(1e-30)).clamp(-1, 1)
    if frame.norm == "l2":
        return frame.uphill(_possible(gradient, u, frame))
    # Even steps along several features, of which the projection keeps some; at the end along the steepest one. There
    # features at their bound are pushed on, so that the projection does not draw them back.
    num_changed = (nearest != 0).sum(1)
    count = torch.where(num_changed > 0, SPREAD * num_changed, gradient.shape[1] / 8) * (share / LATE).clamp_max(1)
    possible = _possible(gradient, u, frame)
    order = possible.abs().argsort(dim=1, descending=True, stable=True).argsort(1)
    chosen = torch.where(order < count.floor().clamp_min(1)[:, None], possible.sign(), 0)
    pushed = torch.where((possible == 0) & (share < LATE)[:, None], gradient.sign(), chosen)
    return pushed / chosen.abs().sum(1, keepdim=True).clamp_min(1)


def _filled(direction: Flat, empty: Tensor, frame: Frame, rows: Tensor, rng: RowStreams) -> Flat:
    """Return the directions, with random ones where the gradient is zero."""
    if not empty.any():
        return direction
    direction = direction.clone()
    drawn = normal(direction[empty].shape, rng=rng.subset(rows[empty]), device=direction.device)
    direction[empty] = balls.uphill(drawn.to(direction.dtype) * (frame.radii[empty] > 0), frame.norm)
    return direction


def _projected(u: Flat, length: PerRow, frame: Frame, *, fills: bool) -> Flat:
    length = length.clamp_min(1e-30)[:, None]
    if fills:
        u = u * (length[:, 0] / frame.length(u).clamp_min(1e-30)).clamp_min(1)[:, None]
    if frame.norm == "l1":
        return length * balls.project_l1(u / length, 1.0, frame.low / length, frame.high / length)
    return frame.clip(length * balls.project(u / length, frame.norm, 1.0))
