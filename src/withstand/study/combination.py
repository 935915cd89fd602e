"""Combination: one setting of everything that was varied, and its runs."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from withstand.errors import InputError, brief
from withstand.study.study import Study, name_of

if TYPE_CHECKING:
    import polars

INDEX = "combination"
PLAIN = ("regular", "plain", "standard", "baseline")  # names of what others are compared with, by default


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One run of a combination.

    Attributes:
        seed: Seed of the run.
        run: Folder of the run, relative to that of the study.
        status: `done`, `failed` or `missing`.
        problem: Why the run failed, if known.
    """

    seed: int
    run: str
    status: str
    problem: str | None = None


@dataclass(frozen=True, kw_only=True)
class Combination:
    """One combination of the varied settings.

    Attributes:
        index: Index of the combination, from 0.
        name: Short readable name.
        labels: Value by axis.
        trials: Its runs, both planned and found.
    """

    index: int
    name: str
    labels: dict[str, Any]
    trials: tuple[Trial, ...] = field(repr=False)

    @property
    def key(self) -> str:
        """Its name as part of a file's name or an address, the same for no other combination of the study."""
        return f"{self.index + 1:02d}-" + (re.sub(r"[^a-z0-9]+", "-", self.name.lower()).strip("-")[:60] or "all")

    @property
    def planned(self) -> tuple[int, ...]:
        """The seeds there should be."""
        return tuple(dict.fromkeys(each.seed for each in self.trials))

    @property
    def missing(self) -> tuple[int, ...]:
        """The seeds without a result."""
        done = {each.seed for each in self.trials if each.status == "done"}
        return tuple(seed for seed in self.planned if seed not in done)

    @property
    def num_done(self) -> int:
        """How many seeds have a result."""
        return len(self.planned) - len(self.missing)

    @property
    def share(self) -> str:
        """How many of the planned seeds are there, e.g. `3/4`."""
        return f"{self.num_done}/{len(self.planned)}"

    @property
    def repeated(self) -> tuple[int, ...]:
        """Seeds of more than one run: these runs differ in something that is not among the axes."""
        seeds = [each.seed for each in self.trials]
        return tuple(seed for seed in self.planned if seeds.count(seed) > 1)


def combinations_of(study: Study) -> tuple[Combination, ...]:
    """Return the combinations of a study, in the order of its frame."""
    axes = study.axes
    ended = study.frame.select(*axes, "seed", "run", "status", "problem").unique(maintain_order=True)
    return tuple(
        Combination(
            index=index,
            name=name_of(dict(zip(axes, labels, strict=True))),
            labels=dict(zip(axes, labels, strict=True)),
            trials=tuple(
                Trial(**each) for each in own.select("seed", "run", "status", "problem").iter_rows(named=True)
            ),
        )
        for index, (labels, own) in enumerate(ended.group_by(axes, maintain_order=True))
    )


def with_index(frame: "polars.DataFrame", combinations: tuple[Combination, ...]) -> "polars.DataFrame":
    """Return a frame with a column `combination`, the index, in front."""
    import polars

    axes = list(combinations[0].labels)
    keys = polars.DataFrame({name: [each.labels[name] for each in combinations] for name in axes}, strict=False)
    keys = keys.cast({name: frame.schema[name] for name in axes}).with_columns(
        polars.Series(INDEX, range(len(combinations)), dtype=polars.Int64)
    )
    found = frame.join(keys, on=axes, how="left", nulls_equal=True, maintain_order="left")
    return found.select(INDEX, *frame.columns)


def parse_baseline(words: list[str], combinations: tuple[Combination, ...]) -> dict[str, Any]:
    """Return the values of a baseline; by default a name such as `regular`, else the first value varied.

    Args:
        words: Such as `method=regular`.
        combinations: Combinations of the study.

    Raises:
        InputError: If there is no such axis or no combination has these values.
    """
    axes = list(combinations[0].labels)
    if not words:
        varied = [name for name in axes if len({each.labels[name] for each in combinations}) > 1]
        varied.sort(key=lambda name: name.partition(".")[0] == "data")  # data sets are not compared
        values = [(name, each.labels[name]) for name in varied or axes[:1] for each in combinations]
        name, value = next((each for each in values if each[1] in PLAIN), values[0])
        return {name: value}
    found = {}
    for word in words:
        name, equals, text = word.partition("=")
        name = next((axis for axis in axes if name in (axis, axis.rsplit(".", 1)[-1], axis.rstrip("_"))), name)
        if not equals or name not in axes:
            raise InputError(f"report: baseline must be AXIS=VALUE with one of {', '.join(axes)}, got {brief(word)}.")
        values = list(dict.fromkeys(each.labels[name] for each in combinations))
        chosen = [value for value in values if _is(value, text)]
        if not chosen:
            shown = ", ".join(str(value) for value in values if value is not None)  # None: runs without this axis
            raise InputError(f"report: baseline {brief(word)}: {name} is one of {shown}.")
        found[name] = chosen[0]
    if not any(matches(each, found) for each in combinations):
        raise InputError(f"report: no combination has the baseline's values {' '.join(words)}.")
    return {name: found[name] for name in axes if name in found}


def matches(combination: Combination, values: Mapping[str, Any]) -> bool:
    """Return whether a combination has these values."""
    return all(combination.labels[name] == value for name, value in values.items())


def _is(value: Any, text: str) -> bool:
    """Return whether a value is the text that a user wrote; no value is written `null` as in a plan, or `None`."""
    if value is None:
        return text in ("null", "None")
    if isinstance(value, int | float) and not isinstance(value, bool):
        try:
            return float(text) == value
        except ValueError:
            return False
    return str(value) == text
