"""Ball: the displacements that are allowed."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from numbers import Real
from typing import Any, Literal, get_args

import torch
from jaxtyping import Float, Int
from torch import Tensor

from withstand.configuration import added
from withstand.errors import InputError
from withstand.functional import balls, changes
from withstand.functional.changes import Change, Options
from withstand.functional.random import Rng, uniform
from withstand.perturbations.base import Box, check_box, clip

Points = Float[Tensor, "batch *feature"]
Unit = Literal["std", "raw", "iqr"]
PerFeature = tuple[float, ...]


@dataclass(frozen=True)
class Ball:
    """The points within a radius of each input, cut to the box.

    With a radius per feature the ball is stretched: a point belongs to it if its displacements, each divided by its
    feature's radius, have a norm of at most 1. A feature of radius 0 stays where it is. Beside that, inputs that are
    not measured but counted or named (columns of whole numbers, categories) may take one of a few values, whatever
    the radius is.

    Attributes:
        norm: The norm that measures displacements.
        radius: At least 0: a number, one per feature of a table, or, for use from Python, one per row and feature, or
            per row (`((0.1,), (0.2,))`); a batch of several times as many rows takes them in turn.
        unit: Of the radius: `std`, the units of the model's inputs (tables: standard deviations after scaling); for
            tables also `raw`, the units of the file, and `iqr`, the interquartile range of each feature in training.
        box: Lowest and highest value of an input; None takes the data's own.
        factors: What the radius is multiplied by, per feature, to get to the units of the inputs; 0 for a feature that
            may not change. None takes the data's own.
        changes: What inputs may become that are not displaced. None takes the data's own.

    Example:
        >>> ball = Ball("linf", 0.1, box=(0.0, 1.0))
        >>> ball.project(torch.tensor([[0.5, 0.0]]), torch.tensor([[0.9, -0.3]]))
        tensor([[0.6000, 0.0000]])
        >>> Ball("linf", (0.1, 0.0)).project(torch.tensor([[0.5, 0.0]]), torch.tensor([[0.9, -0.3]]))
        tensor([[0.6000, 0.0000]])
    """

    norm: balls.Norm = "linf"
    radius: float | PerFeature | tuple[PerFeature, ...] = 8 / 255
    unit: Unit = "std"
    box: Box | None = None
    factors: PerFeature | None = None
    changes: tuple[Change, ...] | None = added(None)

    def __post_init__(self) -> None:
        if self.norm not in get_args(balls.Norm):
            raise InputError(f"Ball: norm must be l1, l2 or linf, got {self.norm}.")
        if self.unit not in get_args(Unit):
            raise InputError(f"Ball: unit must be std, raw or iqr, got {self.unit}.")
        values = _flat(self.radius)
        if not values or any(not _is_number(each) or not 0 <= each < float("inf") for each in values):
            raise InputError(f"Ball: radius must be a number >= 0, or such numbers, got {self.radius}.")
        if not _is_even(self.radius):
            raise InputError(f"Ball: radii of rows must be equally many in every row, got {self.radius}.")
        check_box("Ball", self.box)

    def project(self, x: Points, point: Points) -> Points:
        """Return points of the ball around x near the given ones.

        Cutting to the box afterwards keeps a point in the ball provided that x itself lies in the box. For linf the
        result is the nearest point of the ball within the box; for l1 and l2 it is a point of it.
        """
        inside = clip(x + balls.project(point - x, self.norm, self.radii(x)), self.box)
        for each in self.options(x):
            each.put(inside, each.nearest(point))
        return inside

    def sample(self, x: Points, *, num_draws: int, rng: Rng) -> Float[Tensor, "draw batch *feature"]:
        """Return points uniform in the ball around each row before the cut to the box; options are equally likely."""
        radii = self.radii(x)
        fixed = radii == 0 if isinstance(radii, Tensor) else None
        shape = tuple(x.shape)
        units = balls.sample(shape, self.norm, num_draws=num_draws, rng=rng, device=x.device, fixed=fixed)
        points = clip(x + units.to(x.dtype).mul_(radii), self.box)
        for each in self.options(x):
            numbers = uniform((len(x), num_draws), rng=rng, device=x.device).T * each.num
            each.put(points, numbers.long())
        return points

    def uphill(self, x: Points, gradient: Points) -> Points:
        """Return the step from x to the ball's surface along which a linear function with this gradient grows most."""
        step = balls.uphill(gradient, self.norm, self.radii(x))
        for each in self.options(x):
            each.put(step, each.gains(gradient).argmax(1))
            step[:, each.inputs] -= each.own
        return step

    def ascend(self, x: Points, point: Points, gradient: Points, *, share: float = 1.0) -> Points:
        """Return the point of the ball around x that a step uphill from a given point leads to.

        Args:
            x: Centres.
            point: Where the step begins.
            gradient: Of what is to grow, there.
            share: Length of the step, in radii. There is no part of the way to another option: it is taken whole.
        """
        step = self.uphill(x, gradient)
        moved = point + step.mul(share)
        for change in self.changes or ():
            moved[:, change.inputs] = x[:, change.inputs] + step[:, change.inputs]
        return self.project(x, moved)

    def distance(self, x: Points, point: Points) -> Float[Tensor, " batch"]:
        """Return how far each point is from x, in radii: at most 1 in the ball.

        It is infinity if a fixed feature moved, or took a value that is none of its options.
        """
        displaced = point
        for each in self.options(x):
            allowed, displaced = point.clone(), displaced.clone()
            each.put(allowed, each.nearest(point))
            is_one = torch.isclose(allowed, point).all(1, keepdim=True)
            displaced[:, each.inputs] = torch.where(is_one, each.own, torch.inf)
        return balls.distance(displaced - x, self.norm, self.radii(x))

    def options(self, x: Points) -> list[Options]:
        """Return what inputs may become around each row, change by change."""
        return [changes.options(x, each, self.box) for each in self.changes or ()]

    def radii(self, x: Points) -> float | Tensor:
        """Return the radius as a number, or as a tensor that can be broadcast to x; 0 where there are changes.

        Raises:
            InputError: If its unit needs the data's scaling, or there are not as many radii as features or rows.
        """
        if self.unit != "std" and self.factors is None:
            raise InputError(f"Ball: unit {self.unit} needs a table whose features are scaled, got inputs without.")
        radii = self._radii(x)
        if not self.changes:
            return radii
        changes.check_rows(x)
        displaced = torch.ones(x.shape[1:], dtype=x.dtype, device=x.device)
        for each in self.changes:
            displaced[list(each.inputs)] = 0
        return radii * displaced

    def _radii(self, x: Points) -> float | Tensor:
        if not isinstance(self.radius, Sequence) and self.factors is None:
            return self.radius
        radii = torch.tensor(self.radius, dtype=x.dtype, device=x.device)
        if self.factors is not None:
            radii = radii * torch.tensor(self.factors, dtype=x.dtype, device=x.device)
        if radii.ndim == 2 and len(radii) and len(x) % len(radii) == 0:
            in_turn = radii.repeat(len(x) // len(radii), 1)
            if radii.shape[1] == 1:
                return in_turn.view(-1, *[1] * (x.ndim - 1)).expand_as(x)
            if x.ndim == 2 and radii.shape[1] == x.shape[1]:
                return in_turn
        elif x.ndim == 2 and radii.ndim == 1 and len(radii) == x.shape[1]:
            return radii
        raise InputError(
            "Ball: radius must be a number, or one per feature, or one per row and feature of inputs of shape "
            f"{tuple(x.shape)}, got radii of shape {tuple(radii.shape)}."
        )

    def of_rows(self, rows: Int[Tensor, " row"]) -> "Ball":
        """Return the ball of some rows of the batch: the same, unless every row has radii of its own."""
        radius = self.radius
        if not isinstance(radius, Sequence) or not isinstance(radius[0], Sequence):
            return self
        return replace(self, radius=tuple(radius[row % len(radius)] for row in rows.tolist()))

    def scaled(
        self, scale: PerFeature, iqr: PerFeature, movable: tuple[bool, ...], own: tuple[Change, ...] = ()
    ) -> "Ball":
        """Return the ball with the factors of a table's features, unless it has some or all are 1, and their changes.

        Args:
            scale: What each feature of the file was divided by.
            iqr: Interquartile range of each feature, in the units of the file.
            movable: Whether a feature may be displaced.
            own: What others may become.

        Raises:
            InputError: If there are not as many radii as features, or no feature may change.
        """
        if own and self.changes is None:
            return replace(self, changes=own).scaled(scale, iqr, movable)
        if not any(movable) and not self.changes:
            raise InputError("Ball: none of the features may change; name some with --data.movable or --data.changes.")
        if isinstance(self.radius, Sequence):
            rows = self.radius if isinstance(self.radius[0], Sequence) else (self.radius,)
            for each in rows:
                assert isinstance(each, Sequence)
                if len(each) != len(scale):
                    raise InputError(
                        f"Ball: radius must be a number or one per feature ({len(scale)}), got {len(each)}."
                    )
        if self.factors is not None or (self.unit == "std" and all(movable)):
            return self
        per_unit = {"std": [1.0] * len(scale), "raw": [1 / each for each in scale]}
        per_unit["iqr"] = [spread / each for spread, each in zip(iqr, scale, strict=True)]
        factors = [each * moves for each, moves in zip(per_unit[self.unit], movable, strict=True)]
        return replace(self, factors=tuple(factors))


def _is_even(radius: float | Sequence) -> bool:
    """Return whether either none of the radii is a row of several, or all are, of one length."""
    if not isinstance(radius, Sequence):
        return True
    return len({len(each) if isinstance(each, Sequence) else None for each in radius}) == 1


def _is_number(value: object) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)


def _flat(radius: Any) -> list[Any]:
    if isinstance(radius, list | tuple):
        return [value for each in radius for value in _flat(each)]
    return [radius]
