"""Sigma-zero, an l0 attack: the fewest fields that must change."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from withstand.errors import InputError
from withstand.functional.margins import margin
from withstand.functional.random import RowStreams
from withstand.functional.tensors import PerRow
from withstand.limits import PositiveInt
from withstand.perturbations.attacks.attack import Attack
from withstand.perturbations.ball import Ball
from withstand.perturbations.base import Perturbation
from withstand.perturbations.search.clock import Clock
from withstand.perturbations.search.frame import Frame, Picks, Place
from withstand.perturbations.search.target import Slope, Target

# Features and discrete changes: displacements in radii, and how far each change is on, from 0 to 1.
Fields = Float[Tensor, "batch field"]

SIGMA = 1e-3  # d is counted as d^2 / (d^2 + sigma)
THRESHOLD, FACTOR = 0.3, 0.01  # first threshold, and its change per step over the step size
PATIENCE = 0.3  # see `Clock`
MEAN, SQUARE = 0.9, 0.999  # decay of Adam's averages


@dataclass(frozen=True, kw_only=True)
class SigmaZero(Attack):
    """Sigma-zero: the fewest fields whose change makes the model wrong (l0), each within its own radius.

    A feature is a field; so is a discrete change, such as a category with an input per level. The attack first changes
    the fewest fields that a linear model needs, then switches fields off while it ascends the margin.

    Attributes:
        ball: An linf ball: how far each field may move. 1 in a box of [0, 1] leaves the box as the only limit.
        steps: Gradient steps, at least 1.

    Source:
        Cina et al. 2025, arXiv 2402.01879, algorithm 1; jeromerony/adversarial-library, adv_lib/attacks/sigma_zero.py,
        commit 9dec220.
        Differs: displacements are measured in radii, gradients that lead out of the box are dropped, fields are also
        dropped by bisection before and after, and rows that do not improve anneal faster.
    """

    finds_distance: ClassVar[bool] = True
    counts_fields: ClassVar[bool] = True
    ball: Ball = Ball("linf", 1.0)
    steps: PositiveInt = 100

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.ball.norm != "linf":
            raise InputError(f"SigmaZero: the ball must be linf, which limits each field, got {self.ball.norm}.")

    def search(self, target: Target, *, rng: RowStreams) -> None:
        """Change the steepest fields, ascend the margin, and drop fields that are not needed."""
        start = target.rows
        slope = target.slope(target.frame.centre.rows(start), start, _margin)
        rows, frame = start[~slope.wrong], target.frame.rows(start[~slope.wrong])
        gradient = torch.cat([slope.gradient, slope.gains], 1)[~slope.wrong]
        low, high = _limits(frame)
        _drop(target, rows, torch.where(gradient > 0, high, low), gradient, slope.picks[~slope.wrong])
        self._descend(target, rows)
        found = rows[target.distance[rows].isfinite()]
        if len(found):
            frame, place = target.frame.rows(found), target.found.rows(found)
            slope = target.slope(place, found, _margin)
            fields = torch.cat([place.u, (place.picks != frame.centre.picks).to(place.u.dtype)], 1)
            _drop(target, found, fields, torch.cat([slope.gradient, slope.gains], 1), place.picks)

    def _descend(self, target: Target, rows: Tensor) -> None:
        """Ascend the margin with Adam, with a penalty on the number of changed fields, above a moving threshold."""
        frame = target.frame.rows(rows)
        low, high = _limits(frame)
        fields, picks = torch.zeros_like(low), frame.centre.picks
        mean, square = torch.zeros_like(low), torch.zeros_like(low)
        threshold = torch.full_like(low[:, 0], THRESHOLD)
        clock = Clock(len(rows), self.steps, patience=PATIENCE, device=low.device)
        for count in range(1, self.steps + 1):
            left = (target.distance[rows] > 1) & ~clock.is_over
            if not left.all():
                rows, frame = rows[left], target.frame.rows(rows[left])
                clock.only(left)
                low, high, fields, picks, mean, square, threshold = (
                    each[left] for each in (low, high, fields, picks, mean, square, threshold)
                )
            if len(rows) == 0:
                return
            slope = target.slope(_place(frame, fields, picks), rows, _short_of)
            gradient = _descent(slope, fields, low, high)
            mean, square = mean.lerp(gradient, 1 - MEAN), square.lerp(gradient.square(), 1 - SQUARE)
            step = (0.1 + 0.9 * clock.share)[:, None]
            spread = (square / (1 - SQUARE**count)).sqrt() + 1e-8
            fields = (fields + step * mean / (1 - MEAN**count) / spread).clamp(low, high)
            change = FACTOR * step[:, 0]
            threshold = (threshold + torch.where(slope.wrong, change, -change)).clamp(0, 1)
            fields = torch.where(fields.abs() < threshold[:, None], 0, fields)
            picks = slope.picks
            clock.tick(target.distance[rows])

    @classmethod
    def examples(cls) -> list[Perturbation]:
        """Small and large moves."""
        return [cls(ball=Ball("linf", radius), steps=4) for radius in (0.3, 1.0)]


def _drop(target: Target, rows: Tensor, fields: Fields, gradient: Fields, picks: Picks) -> None:
    """Keep the fewest fields that make the model wrong, largest linear effect first, by bisection."""
    gain = fields * gradient
    order = gain.argsort(dim=1, descending=True, stable=True).argsort(1)
    few, many = torch.zeros_like(rows), (fields != 0).sum(1)
    for _ in range(fields.shape[1].bit_length() + 1):
        left = many > few
        if not left.any():
            return
        count = (few + many) // 2
        kept = torch.where(order < count[:, None], fields, 0)
        frame, own = target.frame.rows(rows[left]), rows[left]
        logits = target.logits(_place(frame, kept[left], picks[left]), own)
        wrong = margin(logits, target.y[own]) >= 0
        many[left] = torch.where(wrong, count[left], many[left])
        few[left] = torch.where(wrong, few[left], count[left] + 1)


def _limits(frame: Frame) -> tuple[Fields, Fields]:
    """Return how far each field may move down and up."""
    on = frame.low.new_ones(len(frame), len(frame.options))
    return torch.cat([frame.low.clamp_min(-1), 0 * on], 1), torch.cat([frame.high.clamp_max(1), on], 1)


def _place(frame: Frame, fields: Fields, picks: Picks) -> Place:
    """Return the place of fields: changes that are on take their option, the others the row's own."""
    num_features = frame.low.shape[1]
    return Place(fields[:, :num_features], torch.where(fields[:, num_features:] > 0, picks, frame.centre.picks))


def _descent(slope: Slope, fields: Fields, low: Fields, high: Fields) -> Fields:
    """Return the direction of descent of shortfall and number of fields, of largest entry 1."""
    counted = 2 * SIGMA * fields / (fields.square() + SIGMA).square() / fields.shape[1]
    direction = torch.cat([slope.gradient, slope.gains], 1) - counted
    blocked: Bool[Tensor, "batch field"] = ((direction > 0) & (fields >= high)) | ((direction < 0) & (fields <= low))
    direction = torch.where(blocked, 0, direction)
    return direction / direction.abs().amax(1, keepdim=True).clamp_min(1e-12)


def _short_of(logits: Tensor, y: Tensor, rows: Tensor) -> Tensor:  # noqa: ARG001
    return margin(logits, y).clamp_max(0)


def _margin(logits: Tensor, y: Tensor, rows: Tensor) -> PerRow:  # noqa: ARG001
    return margin(logits, y)
