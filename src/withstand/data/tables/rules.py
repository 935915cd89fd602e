"""Rules: types, limits and relations that legal rows of a table obey, and the repair of illegal rows."""

import math
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import torch
from torch import Tensor

from withstand.data.tables.relations import Relation, Values, read_relation
from withstand.errors import InputError, brief
from withstand.functional.precision import in_double
from withstand.limits import refusal_of

SHARES = (0.5, 0.25, 0.1)  # of the displacement, tried in turn if a point cannot be repaired
NO_LIMITS = (-math.inf, math.inf)
SAME = {torch.float64: 1e-12, torch.float32: 1e-6}  # largest difference that rounding explains, relative or absolute
HOLE = -1e300  # an empty cell: it obeys every rule, and does not move


class Field(NamedTuple):
    """A column of a table, as inputs of a model.

    Attributes:
        name: Its name.
        inputs: Numbers of its inputs: several for a one-hot category.
        levels: Levels of a category; None for numbers.
        offset: Of the input, in the units of the file: input = (value - offset) / scale.
        scale: Of the input.
        low: Lowest legal value in the units of the file, if there is one.
        high: Highest legal value.
        is_whole: Whether only whole numbers are legal.
    """

    name: str
    inputs: tuple[int, ...]
    levels: tuple[str, ...] | None = None
    offset: float = 0.0
    scale: float = 1.0
    low: float | None = None
    high: float | None = None
    is_whole: bool = False


@dataclass(frozen=True, kw_only=True)
class Rules:
    """The types and limits of columns, and relations between them.

    Attributes:
        fields: The columns, in order.
        texts: Relations; see `read_relation`.
    """

    fields: tuple[Field, ...]
    texts: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        assert self.relations is not None  # parse them now, so that invalid ones are rejected early

    def __getstate__(self) -> dict[str, Any]:
        return {"fields": self.fields, "texts": self.texts}  # relations are functions, which cannot be pickled

    @cached_property
    def relations(self) -> tuple[Relation, ...]:
        """The parsed relations."""
        names = [each.name for each in self.fields]
        levels = {each.name: each.levels for each in self.fields if each.levels is not None}
        found = tuple(read_relation(each, names, levels) for each in self.texts)
        derived = [each.bound for each in found if each.side == "=="]
        for name in derived:
            if derived.count(name) > 1:
                raise InputError(f"rules: column {name!r} follows from several equalities; write them as one.")
        return found

    @cached_property
    def derived(self) -> tuple[int, ...]:
        """The inputs of columns that follow from others: those alone on one side of an equality."""
        names = {each.bound for each in self.relations if each.side == "=="}
        return tuple(number for each in self.fields if each.name in names for number in each.inputs)

    def values(self, points: Tensor, names: Collection[str] = ()) -> Values:
        """Return columns (all without names) of points (..., feature) in the file's units; categories by level."""
        found = {}
        for each in self.fields:
            if names and each.name not in names:
                continue
            own = points[..., list(each.inputs)]
            if len(each.inputs) > 1:
                value = torch.where(own.any(-1), own.argmax(-1), -1)  # all 0: a level unseen in training
            else:
                value = in_double(own[..., 0]) * each.scale + each.offset
            found[each.name] = torch.where(own[..., 0] == HOLE, torch.nan, value.to(own))
        return found

    def violation(self, points: Tensor) -> Tensor:
        """Return the total violation of points (..., feature): 0 if they obey every relation."""
        values = self.values(points)
        found = points.new_zeros(points.shape[:-1])
        for each in self.relations:
            found = found + each.violation(values)
        return found

    def are_legal(self, points: Tensor) -> Tensor:
        """Return which points (..., feature) obey all relations, limits and types."""
        return (self.violation(points) == 0) & self.within_limits(points)

    def within_limits(self, points: Tensor) -> Tensor:
        """Return which points (..., feature) lie within the limits, with whole numbers where only those are legal."""
        return (self._rounded(points) == points).all(-1)

    def repair(
        self, x: Tensor, points: Tensor, is_inside: Callable[[Tensor], Tensor], *, discrete: Sequence[int] = ()
    ) -> Tensor:
        """Return legal points near the given ones; a legal point inside is unchanged.

        Whole numbers are rounded and limits clipped; the column of an equality is computed, and that of an inequality
        moved to its border. A point that is then illegal or outside goes back towards its row. Rows that are illegal
        themselves do not move.

        Args:
            x: The rows (batch, feature).
            points: Points around them (batch, feature).
            is_inside: Returns which points (batch, feature) are within reach.
            discrete: Inputs, besides categories, that keep the value of the point or return to that of the row.
        """
        found, is_done = x, ~self.are_legal(x)
        for share in (1.0, *SHARES):
            if is_done.all():
                break
            near = self._repaired(points if share == 1 else self._between(x, points, share, discrete))
            is_right = self.are_legal(near) & is_inside(near) & ~is_done
            found = torch.where(is_right[:, None], near, found)
            is_done = is_done | is_right
        return found

    def _between(self, x: Tensor, points: Tensor, share: float, discrete: Sequence[int]) -> Tensor:
        """Return points between rows and points; categories and other discrete inputs are those of the points."""
        kept = [*discrete, *(number for each in self.fields if each.levels is not None for number in each.inputs)]
        found = x + share * (points - x)
        found[:, kept] = points[:, kept]
        return found

    def _repaired(self, points: Tensor) -> Tensor:
        points = self._rounded(points)
        for _ in self.relations:
            before = points
            for each in self.relations:
                points = self._obeying(points, each)
            if torch.equal(before, points):
                break
        return points

    def _rounded(self, points: Tensor, fields: tuple[Field, ...] | None = None) -> Tensor:
        """Return points within the limits, with whole numbers where only those are legal."""
        found = points.clone()
        for each in self.fields if fields is None else fields:
            if each.levels is not None or not (each.is_whole or each.low is not None or each.high is not None):
                continue
            now = points[..., each.inputs[0]]
            value = in_double(now) * each.scale + each.offset
            value = value.round() if each.is_whole else value
            value = value.clamp(each.low, each.high) if each.low is not None or each.high is not None else value
            moved = ((value - each.offset) / each.scale).to(now)
            rounding = SAME[points.dtype]
            is_same = torch.isclose(moved, now, rtol=rounding, atol=rounding / each.scale) | (now == HOLE)
            found[..., each.inputs[0]] = torch.where(is_same, now, moved)
        return found

    def _obeying(self, points: Tensor, relation: Relation) -> Tensor:
        """Return points with the lone column of a relation moved to where the relation holds."""
        if relation.bound is None or relation.other is None:
            return points
        (field,) = [each for each in self.fields if each.name == relation.bound]
        values = self.values(points, relation.columns)
        is_wrong = relation.violation(values) > 0
        if not is_wrong.any():
            return points
        moved = ((relation.other(values) - field.offset) / field.scale).to(points.dtype)
        is_wrong &= moved.isfinite()
        changed = points.clone()
        changed[..., field.inputs[0]] = torch.where(is_wrong, moved, points[..., field.inputs[0]])
        return self._rounded(changed, (field,))


def limits_of(who: str, name: Any, given: Any) -> tuple[float | None, float | None]:
    """Return the limits of a column, given as a pair of numbers or None.

    Args:
        who: Name at the beginning of errors.
        name: The column.
        given: Lowest and highest value, in the units of the file; None or an infinity for no limit.

    Raises:
        InputError: If they are not such a pair, or the lowest is above the highest.

    Example:
        >>> limits_of("RobustClassifier", "age", (0, None))
        (0.0, None)
    """
    pair = list(given) if isinstance(given, Sequence) and not isinstance(given, str) else []
    pair = [None if each == end else each for each, end in zip(pair, NO_LIMITS, strict=False)] if len(pair) == 2 else []
    numbers = [float(each) for each in pair if each is not None and refusal_of(float, each) is None]
    is_order = all(numbers[0] <= each < NO_LIMITS[1] for each in numbers)  # false for NaN
    if len(pair) != 2 or len(numbers) + pair.count(None) != 2 or not is_order or -math.inf in numbers:
        raise InputError(f"{who}: limits of {name!r} must be (lowest, highest), None for no limit, got {brief(given)}.")
    low, high = (None if each is None else float(each) for each in pair)
    return low, high
