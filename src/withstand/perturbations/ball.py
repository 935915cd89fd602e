"""Ball: the allowed displacements."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from withstand.configuration import identity
from withstand.data.space import Space
from withstand.data.tables.rules import Rules
from withstand.errors import InputError
from withstand.functional import balls, changes
from withstand.functional.changes import Options
from withstand.functional.random import Rng, uniform
from withstand.functional.tensors import PerRow, Points
from withstand.limits import NonEmpty, NonNegativeFloat, check_fields

ROUNDING = 1e-6  # by which a repaired point may be longer than the radius
LONGEST = 60  # characters of the radii in a name
Unit = Literal["std", "raw", "iqr"]
PerFeature = Annotated[tuple[NonNegativeFloat, ...], NonEmpty]


@dataclass(frozen=True)
class Ball:
    """The points within a radius of each input, clipped to the box of the inputs' space.

    With one radius per feature, the ball is scaled along each axis: a point belongs to it if its displacements, each
    divided by the feature's radius, have a norm of at most 1. Features with radius 0, and those that the space fixes,
    do not change. Discrete inputs (whole numbers and categories) take any of the values that the space allows,
    regardless of the radius.

    Attributes:
        norm: The norm that measures displacements.
        radius: At least 0: one number, or one per feature of a table. In Python also one per row and feature, or one
            per row (`((0.1,), (0.2,))`); if the batch has several times as many rows, the radii are repeated.
        unit: Unit of the radius: `std`, the units of the model's inputs (for tables, standard deviations after
            scaling); for tables also `raw`, the units of the file, and `iqr`, the interquartile range of each feature
            in the training part.

    Example:
        >>> x, point, space = torch.tensor([[0.5, 0.0]]), torch.tensor([[0.9, -0.3]]), Space(shape=(2,), box=(0.0, 1.0))
        >>> Ball("linf", 0.1).project(x, point, space=space)
        tensor([[0.6000, 0.0000]])
        >>> Ball("linf", (0.1, 0.0)).project(x, point, space=Space(shape=(2,)))
        tensor([[0.6000, 0.0000]])
    """

    norm: balls.Norm = "linf"
    radius: NonNegativeFloat | PerFeature | Annotated[tuple[PerFeature, ...], NonEmpty] = 8 / 255
    unit: Unit = "std"

    def __post_init__(self) -> None:
        check_fields(self)
        radius = self.radius
        if isinstance(radius, Sequence) and len({len(each) for each in radius if isinstance(each, Sequence)}) > 1:
            raise InputError(f"Ball: radii of rows must be equally many in every row, got {self.radius}.")

    @property
    def name(self) -> str:
        """The ball as text, e.g. `linf 0.1` or `linf [0.1 0 0.3]`."""
        radius, unit = self.radius, "" if self.unit == "std" else f" {self.unit}"
        if not isinstance(radius, Sequence):
            return f"{self.norm} {radius:g}{unit}"
        if isinstance(radius[0], Sequence):  # of any rows: draws do not depend on which are in a batch
            return f"{self.norm} per row{unit}"
        radii = " ".join(f"{each:g}" for each in radius if not isinstance(each, Sequence))
        is_short = 0 < len(radii) <= LONGEST - 2
        return f"{self.norm} {f'[{radii}]' if is_short else f'per feature {identity(self)}'}{unit}"

    def check(self, space: Space) -> None:
        """Reject a space that the radius or its unit does not fit, and radii per row, which fit one batch only.

        Raises:
            InputError: If it does not fit; see `radii`.
        """
        if isinstance(self.radius, Sequence) and isinstance(self.radius[0], Sequence):
            raise InputError(
                "Ball: radius must be a number or one per feature where data are cut into batches, got radii per row."
            )
        self.radii(torch.zeros(1, *space.shape), space=space)

    def project(self, x: Points, point: Points, *, space: Space) -> Points:
        """Return points in the ball around x that are near the given points.

        Points are clipped to the box afterwards, which keeps them in the ball if x itself lies in the box. For linf,
        the result is the nearest point in both the ball and the box; for l1 and l2, it is a point in both.
        """
        inside = space.clip(x + balls.project(point - x, self.norm, self.radii(x, space=space)))
        for each in self.options(x, space=space):
            each.put(inside, each.nearest(point))
        return self.repaired(x, inside, space=space)

    def sample(self, x: Points, *, space: Space, num_draws: int, rng: Rng) -> Float[Tensor, "draw batch *feature"]:
        """Return points uniform in the ball around each row before clipping to the box; options are equally likely."""
        radii = self.radii(x, space=space)
        fixed = radii == 0 if isinstance(radii, Tensor) else None
        shape = tuple(x.shape)
        units = balls.sample(shape, self.norm, num_draws=num_draws, rng=rng, device=x.device, fixed=fixed)
        points = space.clip(x + units.to(x.dtype).mul_(radii))
        for each in self.options(x, space=space):
            numbers = uniform((len(x), num_draws), rng=rng, device=x.device).T * each.num
            each.put(points, numbers.long())
        return self.repaired(x, points, space=space)

    def uphill(self, x: Points, gradient: Points, *, space: Space) -> Points:
        """Return the step from x to the surface of the ball that most increases a linear function of this gradient."""
        step = balls.uphill(gradient, self.norm, self.radii(x, space=space))
        for each in self.options(x, space=space):
            each.put(step, each.gains(gradient).argmax(1))
            step[:, each.inputs] -= each.own
        return step

    def ascend(self, x: Points, point: Points, gradient: Points, *, space: Space, share: float = 1.0) -> Points:
        """Return the point of the ball around x after a step along the gradient from a given point.

        Args:
            x: Centres.
            point: Where the step begins.
            gradient: Gradient of the loss, at that point.
            space: The input space.
            share: Length of the step, in radii. Steps to another option are always complete.
        """
        step = self.uphill(x, gradient, space=space)
        moved = point + step.mul(share)
        for change in space.changes:
            moved[:, change.inputs] = x[:, change.inputs] + step[:, change.inputs]
        return self.project(x, moved, space=space)

    def distance(self, x: Points, point: Points, *, space: Space) -> PerRow:
        """Return how far each point is from x, in radii: at most 1 in the ball.

        Infinite if a fixed feature has changed, or a feature has a value that is not among its options.
        """
        displaced = point
        for each in self.options(x, space=space):
            allowed, displaced = point.clone(), displaced.clone()
            each.put(allowed, each.nearest(point))
            is_one = torch.isclose(allowed, point).all(1, keepdim=True)
            displaced[:, each.inputs] = torch.where(is_one, each.own, torch.inf)
        return balls.distance(displaced - x, self.norm, self.radii(x, space=space))

    def options(self, x: Points, *, space: Space) -> list[Options]:
        """Return the allowed values of inputs around each row, change by change."""
        return [changes.options(x, each, space.box) for each in space.changes]

    def radii(self, x: Points, *, space: Space) -> float | Tensor:
        """Return the radius as a number, or as a tensor that can be broadcast to x; 0 if there are changes.

        Raises:
            InputError: If the unit needs a scaled table, if no feature may change, or if the number of radii does not
                match the features or rows.
        """
        factors, radii = self._factors(space), self._radii(x)
        if factors is not None:
            radii = radii * torch.tensor(factors, dtype=x.dtype, device=x.device)
        if not space.changes:
            return radii
        changes.check_rows(x)
        displaced = torch.ones(x.shape[1:], dtype=x.dtype, device=x.device)
        for each in space.changes:
            displaced[list(each.inputs)] = 0
        return radii * displaced

    def repaired(self, x: Points, points: Float[Tensor, "*any"], *, space: Space) -> Float[Tensor, "*any"]:
        """Return points (*draw, *x.shape) of the ball moved to where the rules hold; without rules, the same points."""
        if space.rules is None:
            return points
        if points.ndim > x.ndim:
            return torch.stack([self.repaired(x, each, space=space) for each in points])
        radii = torch.as_tensor(self.radii(x, space=space), dtype=x.dtype, device=x.device).expand(x.shape)
        return legal(x, points, norm=self.norm, radii=radii, options=self.options(x, space=space), rules=space.rules)

    def _factors(self, space: Space) -> PerFeature | None:
        """Return the factor per feature from the radius to the units of the inputs; 0 keeps a feature fixed."""
        features = space.features
        if features is None:
            if self.unit != "std":
                raise InputError(f"Ball: unit {self.unit} needs a table whose features are scaled, got inputs without.")
            return None
        if not any(features.movable) and not features.changes:
            raise InputError("Ball: all features are fixed; set --data.movable or --data.changes.")
        if self.unit == "std":
            return None if all(features.movable) else tuple(map(float, features.movable))
        units = features.iqr if self.unit == "iqr" else (1.0,) * len(features.scale)
        known = zip(units, features.scale, features.movable, strict=True)
        return tuple(unit / scale * moves for unit, scale, moves in known)

    def _radii(self, x: Points) -> float | Tensor:
        if not isinstance(self.radius, Sequence):
            return self.radius
        radii = torch.tensor(self.radius, dtype=x.dtype, device=x.device)
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
        """Return the ball of some rows of the batch: the same, unless every row has its own radii."""
        radius = self.radius
        if not isinstance(radius, Sequence) or not isinstance(radius[0], Sequence):
            return self
        return replace(self, radius=tuple(radius[row % len(radius)] for row in rows.tolist()))


def legal(
    x: Points, points: Points, *, norm: balls.Norm, radii: Tensor, options: Sequence[Options], rules: Rules | None
) -> Points:
    """Return points of a ball, repaired so that they obey the rules of a table.

    Columns that follow others by an equality may leave the ball; nothing else does.

    Args:
        x: The rows (batch, feature).
        points: Points of the ball around them.
        norm: The norm of the ball.
        radii: Its radius per row and feature, 0 where nothing moves.
        options: The discrete changes around the rows.
        rules: The rules; None leaves the points as they are.
    """
    if rules is None:
        return points
    moves = radii > 0

    def may_lie(candidates: Points) -> Bool[Tensor, " batch"]:
        delta = candidates - x
        delta[:, list(rules.derived)] = 0
        length = balls.distance(torch.where(moves, delta / torch.where(moves, radii, 1), 0), norm)
        is_option = torch.ones_like(length, dtype=torch.bool)
        for each in options:
            delta[:, each.inputs] = 0
            if not set(each.inputs) & set(rules.derived):
                own = candidates[:, None, each.inputs]
                is_option &= torch.isclose(own, each.values, atol=ROUNDING).all(2).any(1)
        return (length <= 1 + ROUNDING) & is_option & (moves | (delta == 0)).all(1)

    return rules.repair(x, points, may_lie, discrete=[number for each in options for number in each.inputs])
