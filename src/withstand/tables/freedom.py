"""Freedom: which columns of a table may change, by how much, and under which rules."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor

from withstand.data.space import Space
from withstand.data.tables.categories import key_of
from withstand.data.tables.features import Features
from withstand.data.tables.rules import HOLE, Field, Rules, limits_of
from withstand.errors import InputError, nearest
from withstand.functional.balls import Norm
from withstand.functional.changes import Change
from withstand.limits import NonNegativeFloat, refusal_of
from withstand.perturbations.ball import Ball
from withstand.tables.columns import Column, Columns, holds_numbers

Unit = Literal["raw", "std"]


class Freedom(NamedTuple):
    """What may move in a table.

    Attributes:
        space: The space of its matrix, with the rules.
        ball: The radii, one per input; 0 for columns that stay.
        holes: Which numbers that may move are empty cells (row, input); None if none is.
        notes: Remarks on rows and columns that cannot move.
    """

    space: Space
    ball: Ball
    holes: Any
    notes: tuple[str, ...]

    @property
    def rules(self) -> Rules:
        """The rules, which every table has: the types of its columns."""
        assert self.space.rules is not None
        return self.space.rules

    @property
    def moves(self) -> tuple[bool, ...]:
        """Which inputs are numbers that may move."""
        return self.space.features.movable if self.space.features else ()

    @property
    def changes(self) -> tuple[Change, ...]:
        """The categories that may change."""
        return self.space.features.changes if self.space.features else ()

    @property
    def followers(self) -> set[str]:
        """Columns that change only because others do, by an equality."""
        derived = set(self.rules.derived)
        return {each.name for each in self.rules.fields if set(each.inputs) <= derived}

    def may_change(self, column: Column) -> bool:
        """Return whether a column may change, other than by following others."""
        return any(self.moves[each] for each in column.inputs) or any(
            set(each.inputs) <= set(column.inputs) for each in self.changes
        )

    def describe(self, columns: Columns) -> dict[str, str]:
        """Return a description of how each column may change, and the rules."""
        found = {}
        for each in columns.columns:
            if self.moves[each.inputs[0]]:
                found[str(each.name)] = f"by up to {np.array(self.ball.radius)[each.inputs[0]]:.4g}"
            for change in self.changes:
                if set(change.inputs) <= set(each.inputs):
                    own = (each.levels[place - each.inputs[0]] for place in change.inputs)
                    found[str(each.name)] = " or ".join(map(str, own))
        for field in self.rules.fields:
            limits = ("at least", field.low), ("at most", field.high)
            if span := " and ".join(f"{word} {value:g}" for word, value in limits if value is not None):
                found[field.name] = f"{found[field.name]}, {span}" if field.name in found else span
        return found | {f"rule {number}": each for number, each in enumerate(self.rules.texts, 1)}

    @property
    def has_rules(self) -> bool:
        """Whether there are limits or relations."""
        return bool(self.rules.texts) or any((each.low, each.high) != (None, None) for each in self.rules.fields)

    def without_rules(self) -> "Freedom":
        """Return it without limits and relations; whole numbers stay whole."""
        fields = tuple(each._replace(low=None, high=None) for each in self.rules.fields)
        return self._replace(space=replace(self.space, rules=Rules(fields=fields)))

    def rows(self, rows: Tensor) -> "Freedom":
        """Return it for some of the rows."""
        return self if self.holes is None else self._replace(holes=self.holes[rows.numpy()])

    def of_rows(self, rows: Tensor) -> Ball:
        """Return the ball of some rows, in which empty cells stay empty."""
        if self.holes is None or not self.holes[rows.numpy()].any():
            return self.ball
        radii = np.where(self.holes[rows.numpy()], 0.0, np.array(self.ball.radius))
        return Ball(self.ball.norm, tuple(tuple(each) for each in radii.tolist()))


def read_freedom(
    columns: Columns,
    *,
    radius: Any,
    changes: Mapping[Any, Any],
    unit: Unit,
    norm: Norm,
    limits: Mapping[Any, Any] | None,
    rules: Sequence[str],
) -> Freedom:
    """Check the arguments of `robustness` that say what may change, and return them for the matrix of a table.

    Raises:
        InputError: If a column is unknown or of the wrong kind, or a value is invalid.
    """
    who, names, limits = columns.who, [each.name for each in columns.columns], limits or {}
    for what, given in (("radius", radius if isinstance(radius, Mapping) else {}), ("limits", limits)):
        for name in given:
            if name not in names:
                raise InputError(
                    f"{who}: {what}: there is no column {name!r}; {nearest(str(name), list(map(str, names)))}"
                )
    matrix, notes = columns.matrix(), []
    radii = {each.name: _radius(columns, each, radius, unit, matrix, notes) for each in columns.columns}
    found = [_change(who, each, changes[each.name]) for each in columns.columns if each.name in changes]
    if not any(radii.values()) and not found:
        why = f" ({notes[0].rstrip('.')})" if notes else ""
        raise InputError(f"{who}: nothing may change; give a radius above 0, or changes of a category{why}.")
    fields = tuple(_field(columns, each, limits) for each in columns.columns)
    own = Rules(fields=fields, texts=tuple(rules))
    notes += _illegal(own, matrix) + (_followers(own, columns, radii) if isinstance(radius, Mapping) else [])
    per_input = [radii[each.name] for each in columns.columns for _ in each.inputs]
    moves = np.array(per_input) > 0
    owners = [each for each in columns.columns for _ in each.inputs]
    known = Features(
        names=tuple(str(each.name) for each in owners),
        columns=tuple(str(each.name) for each in owners),
        kinds=tuple(each.kind for each in owners),
        movable=tuple(moves.tolist()),
        offset=(0.0,) * len(owners),
        scale=(1.0,) * len(owners),
        iqr=(1.0,) * len(owners),
        changes=tuple(found),
    )
    space = Space(shape=(columns.num_inputs,), features=known, rules=own)
    holes = (matrix == HOLE) & moves
    return Freedom(space, Ball(norm, tuple(per_input)), holes if holes.any() else None, tuple(notes))


def _illegal(rules: Rules, matrix: np.ndarray) -> list[str]:
    """Return notes on the rows that break rules or limits unchanged."""
    x = torch.from_numpy(matrix)
    outside, found = int((~rules.within_limits(x)).sum()), []
    values = rules.values(x)
    for each in rules.relations:
        count = int((each.violation(values) > 0).sum())
        if count:
            found.append(f"{count:,} of {len(x):,} rows break the rule `{each.text}`")
    if outside:
        found.append(f"{outside:,} of {len(x):,} rows lie outside the limits")
    return [f"{'; '.join(found)}: illegal rows do not move."] if found else []


def _followers(rules: Rules, columns: Columns, radii: Mapping[Any, float]) -> list[str]:
    """Return notes on the columns that have a radius although they follow from others."""
    return [
        f"Column {each.name!r} follows from a rule, so its radius does not limit it; give it limits."
        for each in columns.columns
        if radii[each.name] > 0 and set(each.inputs) <= set(rules.derived)
    ]


def _radius(columns: Columns, column: Column, radius: Any, unit: str, matrix: np.ndarray, notes: list[str]) -> float:
    who, is_named = columns.who, isinstance(radius, Mapping)
    given = radius.get(column.name, 0.0) if is_named else 0.0 if radius is None else radius
    if refusal_of(NonNegativeFloat, given):
        raise InputError(f"{who}: radius of {column.name!r} must be a number >= 0, got {given!r}.")
    value = float(given)
    if column.kind == "category":
        why = "is a category; name its values that may change in changes"
        if len(column.inputs) > 1:
            why = "moves by changes only; give it no radius"
        elif holds_numbers(column):
            why = "holds numbers as objects or of over 15 digits, which are categories; make them float64"
            if not is_named and value > 0:
                notes.append(f"Column {column.name!r} {why}, to move it.")
        if is_named and value > 0:
            raise InputError(f"{who}: radius: column {column.name!r} {why}.")
        return 0.0
    values = matrix[:, column.inputs[0]]
    values = values[values != HOLE]
    if not is_named and value > 0 and len(np.unique(values)) <= 2:
        notes.append(f"Column {column.name!r} has at most two values and does not move; name it in radius to move it.")
        return 0.0
    found = value * (float(values.std()) if unit == "std" and len(values) else 1.0)
    if value > 0 and not found:
        notes.append(f"Column {column.name!r} has one value, so that its radius in standard deviations is 0.")
    if column.kind == "integer" and 0 < found < 1:
        notes.append(f"Column {column.name!r} holds whole numbers and its radius is below 1, so it does not move.")
    return float(np.floor(found + 1e-9)) if column.kind == "integer" else found


def _change(who: str, column: Column, values: Any) -> Change:
    who = f"{who}: changes of {column.name!r}"
    levels = list(map(key_of, column.levels))
    own = [key_of(each) for each in values] if isinstance(values, Sequence) and not isinstance(values, str) else []
    for each in own:
        if each not in levels:
            raise InputError(f"{who}: no row has the value {each!r}; {nearest(str(each), list(map(str, levels)))}")
    places = list(dict.fromkeys(column.inputs[levels.index(each)] for each in own))
    if len(places) < 2:
        raise InputError(f"{who} must be at least two values that may replace each other, got {values!r}.")
    return Change(tuple(places), tuple(tuple(float(a == b) for a in places) for b in places))


def _field(columns: Columns, column: Column, limits: Mapping[Any, Any]) -> Field:
    low, high = limits_of(columns.who, column.name, limits.get(column.name, (None, None)))
    if column.kind == "category" and column.name in limits:
        raise InputError(f"{columns.who}: limits: column {column.name!r} is a category, which has none.")
    return Field(
        name=str(column.name),
        inputs=column.inputs,
        levels=tuple(map(str, column.levels)) if column.kind == "category" else None,
        low=low,
        high=high,
        is_whole=column.kind == "integer",
    )
