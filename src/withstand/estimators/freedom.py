"""Freedom: what may move in a table, by how much, and by which rules."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from numbers import Real
from typing import Any

import numpy as np

from withstand.data.space import Space
from withstand.data.tables.changes import exchange, steps_of
from withstand.data.tables.features import Features
from withstand.data.tables.rules import Field, Rules
from withstand.errors import InputError, brief
from withstand.estimators.encoding import Encoding, place_of, places_of, text_of
from withstand.estimators.objectives import moves
from withstand.functional.changes import Change
from withstand.limits import refusal_of
from withstand.perturbations.ball import Ball

MOST_STEPS = 10  # up or down, of a whole number whose values are tried one by one


@dataclass(frozen=True, kw_only=True, eq=False)
class Freedom:
    """What may move around the rows of a table.

    Attributes:
        who: Name at the beginning of errors.
        space: The space of the inputs, with the allowed changes and the rules.
        columns: The columns.
        owners: The place of each input's column.
        whole: Places of columns whose numbers stay whole.
        one_hot: Places of columns that look like the levels of one category, group by group.
    """

    who: str
    space: Space
    columns: tuple[str, ...]
    owners: tuple[int, ...]
    whole: tuple[int, ...]
    one_hot: tuple[tuple[int, ...], ...] = ()

    def around(self, ball: Ball) -> tuple[Ball, Space]:
        """Return a ball given by column as a ball of the inputs, and their space.

        Whole numbers with a small radius take every number within it with equal probability.

        Raises:
            InputError: If a category, or a column with allowed changes, has a radius.
        """
        known, radius = self.features, ball.radius
        if isinstance(radius, Sequence):
            taken = {self.owners[number] for each in known.changes for number in each.inputs}
            taken |= {self.owners[number] for number, kind in enumerate(known.kinds) if kind == "category"}
            for place in sorted(taken):
                if np.any(radius[place]):
                    name = self.columns[place]
                    raise InputError(f"{self.who}: column {name!r} is moved by changes only; give it no radius.")
            radii = [np.asarray(radius)[place].item() for place in self.owners]
        elif not self.whole:
            return ball, self.space
        else:
            radii = [radius] * len(self.owners)
        movable, changes = list(known.movable), list(known.changes)
        for number, place in enumerate(self.owners):
            if place not in self.whole or not movable[number] or ball.norm != "linf":
                continue
            unit = {"raw": 1.0, "std": known.scale[number], "iqr": known.iqr[number]}[ball.unit]
            most = int(np.floor(radii[number] * unit + 1e-9))
            radii[number] = most / unit if unit else 0.0
            if 0 < most <= MOST_STEPS:
                steps = tuple((step / known.scale[number],) for step in range(-most, most + 1))
                changes.append(Change((number,), steps, added=True))
                movable[number] = False
        features = known._replace(movable=tuple(movable), changes=tuple(changes))
        return replace(ball, radius=tuple(radii)), replace(self.space, features=features)

    def doubts(self, given: Ball, ball: Ball, space: Space) -> Iterator[str]:
        """Yield warnings about a ball given by column, from what `around` returned for it."""
        radii = np.broadcast_to(np.asarray(given.radius), len(self.columns))
        if radii.any() and not moves(ball, space):
            yield "nothing moves within the radius; categories move by changes, whole numbers by whole numbers."
        halves = [each for each in self.one_hot if radii[list(each)].any() and not set(each) & {*self.whole}]
        if halves:
            names = ", ".join(repr(self.columns[place]) for place in halves[0][:5])
            yield (
                f"columns {names} look like one category (one-hot), and the radius moves them by fractions; "
                "pass the category itself and name it in categorical, or give these columns radius 0."
            )

    @property
    def features(self) -> Features:
        """The features of the inputs."""
        assert self.space.features is not None
        return self.space.features


def read_freedom(
    estimator: Any, encoding: Encoding, described: Features, *, one_hot: tuple[tuple[int, ...], ...] = ()
) -> Freedom:
    """Return what the parameters of an estimator let move.

    Args:
        estimator: With the parameters `changes`, `integer`, `limits` and `rules`.
        encoding: The encoding of its table.
        described: Offset, scale and interquartile range of every column.
        one_hot: Groups of columns that look like one category.

    Raises:
        InputError: If a parameter names an unknown column, or has an invalid value.
    """
    who, names = type(estimator).__name__, encoding.names
    whole = places_of(who, "integer", estimator.integer, names)
    allowed = _by_place(who, "changes", estimator.changes, names)
    limits = {
        place: _limits(who, names[place], each)
        for place, each in _by_place(who, "limits", estimator.limits, names).items()
    }
    for place in (*whole, *limits):
        if encoding.levels[place] is not None:
            raise InputError(f"{who}: column {names[place]!r} is a category, which has no limits and no whole numbers.")
    features = _features(described, encoding, whole=whole, changed=allowed)
    starts = np.cumsum((0, *encoding.widths)).tolist()
    changes = tuple(
        _change(who, encoding, features, place, starts[place], values) for place, values in sorted(allowed.items())
    )
    space = Space(shape=(starts[-1],), features=features._replace(changes=changes))
    texts = _texts(who, estimator.rules)
    if texts or limits or whole:
        fields = [
            _field(encoding, features, place, starts[place], limits.get(place, (None, None)), place in whole)
            for place in range(len(names))
        ]
        space = replace(space, rules=Rules(fields=tuple(fields), texts=texts))
    owners = tuple(np.repeat(np.arange(len(names)), encoding.widths).tolist())
    return Freedom(who=who, space=space, columns=names, owners=owners, whole=whole, one_hot=one_hot)


def _features(described: Features, encoding: Encoding, *, whole: Iterable[int], changed: Iterable[int]) -> Features:
    """Return the features of the inputs from those of the columns; levels of categories are not scaled."""
    parts = []
    for place, texts in enumerate(encoding.texts):
        name, num = described.names[place], encoding.widths[place]
        if texts is None:
            kind, moves = (
                "integer" if place in whole else "continuous",
                described.movable[place] and place not in changed,
            )
            own = (described.offset[place], described.scale[place], described.iqr[place])
            parts.append([(name, name, kind, moves, *own)])
        else:
            scale = 1.0 if num > 1 else np.inf  # a constant is ignored
            parts.append([(f"{name}={text}", name, "category", False, 0.0, scale, 0.0) for text in texts])
    return Features(*map(tuple, zip(*(each for part in parts for each in part), strict=True)))


def _change(who: str, encoding: Encoding, features: Features, place: int, first: int, values: Any) -> Change:
    name, texts = f"{who}: changes of {encoding.names[place]!r}", encoding.texts[place]
    if isinstance(values, str) or not isinstance(values, Sequence):
        raise InputError(f"{name} must be a list of values, got {brief(values)}.")
    if texts is not None:
        return exchange(name, first, [text_of(each) for each in values], texts)
    wrong = [each for each in values if not isinstance(each, Real)]
    if wrong:
        raise InputError(f"{name} must be numbers that may be added, got {wrong[0]!r}; is it missing from categorical?")
    return steps_of(name, first, values, scale=features.scale[first], is_whole=features.kinds[first] == "integer")


def _field(
    encoding: Encoding, features: Features, place: int, first: int, limits: tuple[float | None, ...], is_whole: bool
) -> Field:
    texts, scale = encoding.texts[place], features.scale[first]
    return Field(
        name=encoding.names[place],
        inputs=tuple(range(first, first + encoding.widths[place])),
        levels=texts,
        offset=features.offset[first],
        scale=scale if np.isfinite(scale) else 1.0,
        low=limits[0],
        high=limits[1],
        is_whole=is_whole,
    )


def _limits(who: str, name: str, given: Any) -> tuple[float | None, float | None]:
    pair = list(given) if isinstance(given, Sequence) and not isinstance(given, str) else []
    numbers = [float(each) for each in pair if refusal_of(float, each) is None]
    if len(pair) != 2 or len(numbers) + pair.count(None) != 2 or not all(a <= b for a in numbers[:1] for b in numbers):
        raise InputError(f"{who}: limits of {name!r} must be (lowest, highest), None for no limit, got {brief(given)}.")
    low, high = (None if each is None else float(each) for each in pair)
    return low, high


def _by_place(who: str, what: str, given: Any, names: Sequence[str]) -> dict[int, Any]:
    """Return the entries of a dictionary by the place of their column."""
    if given is not None and not isinstance(given, Mapping):
        raise InputError(f"{who}: {what} must be a dictionary by column, got {brief(given)}.")
    return {place_of(who, what, name, names): each for name, each in (given or {}).items()}


def _texts(who: str, rules: Any) -> tuple[str, ...]:
    if rules is not None and (isinstance(rules, str) or not isinstance(rules, Sequence)):
        raise InputError(f"{who}: rules must be a list of text, got {brief(rules)}.")
    return tuple(rules or ())
