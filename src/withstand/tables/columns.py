"""Columns: conversion of a table of any library to a matrix of numbers, and back."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from numbers import Number
from typing import Any, Literal

import numpy as np
import polars as pl

from withstand.data.tables.categories import MAX_LEVELS, key_of
from withstand.data.tables.features import Kind
from withstand.data.tables.rules import HOLE
from withstand.errors import InputError, brief, nearest

Library = Literal["pandas", "polars", "numpy"]
BOOLS = (bool, np.bool_)
LARGEST = 2.0**53 - 1  # up to which float64 holds every whole number


@dataclass(frozen=True, kw_only=True, eq=False)
class Column:
    """A column of a table.

    Attributes:
        name: Its name.
        kind: `continuous`, `integer` (only whole numbers), or `category` (everything else: also dates, and whole
            numbers that float64 does not hold).
        kept: The original column, in its library.
        levels: Values of a category; the numbers of the matrix are their places.
        inputs: Its inputs in the matrix: one, or one per level if the category may change.
    """

    name: Any
    kind: Kind
    kept: Any
    levels: tuple[Any, ...] = ()
    inputs: tuple[int, ...] = ()

    @cached_property
    def numbers(self) -> np.ndarray:
        """The number of each row's level."""
        places = {key_of(level): number for number, level in enumerate(self.levels)}
        values = self.kept.to_list() if hasattr(self.kept, "to_list") else self.kept.tolist()
        return np.array([places[key_of(each)] for each in values], dtype=np.int64)

    @cached_property
    def first_rows(self) -> np.ndarray:
        """The first row of each level, from which its cell is copied."""
        found = np.zeros(len(self.levels), dtype=np.int64)
        found[self.numbers[::-1]] = np.arange(len(self.numbers))[::-1]
        return found


@dataclass(frozen=True, kw_only=True, eq=False)
class Columns:
    """The columns of a table, and the conversion of its rows to numbers and back.

    Attributes:
        who: Name at the beginning of errors.
        library: `pandas`, `polars` or `numpy`.
        columns: The columns, in order.
        num_rows: Number of rows.
    """

    who: str
    library: Library
    columns: tuple[Column, ...]
    num_rows: int

    @classmethod
    def of(cls, table: Any, *, names: Sequence[str] = (), split: Sequence[str] = (), who: str) -> "Columns":
        """Read the columns of a table.

        Args:
            table: A data frame of pandas or polars, or an array (row, column).
            names: Names of the columns of an array; `x0`, `x1`, ... by default.
            split: Categories whose levels may change; each level becomes an input.
            who: Name at the beginning of errors.

        Raises:
            InputError: If it is no table, or a cell is infinite or of an unsupported type.
        """
        library, named = _named(table, names, who)
        if len(set(map(str, named))) < len(named):  # rules and results name columns by text
            raise InputError(f"{who}: X must have columns whose names differ as text, got {brief(list(named))}.")
        for name in split:
            if name not in named:
                raise InputError(f"{who}: changes: there is no column {name!r}; {nearest(str(name), map(str, named))}")
        found: list[Column] = []
        count = 0
        for name, kept in named.items():
            kind, levels = _kind_of(kept, is_category=name in split, who=f"{who}: column {name!r}")
            inputs = tuple(range(count, count + (len(levels) if name in split else 1)))
            found.append(Column(name=name, kind=kind, kept=kept, levels=levels, inputs=inputs))
            count = inputs[-1] + 1
        return cls(who=who, library=library, columns=tuple(found), num_rows=len(found[0].kept))

    @property
    def num_inputs(self) -> int:
        """Number of columns of the matrix."""
        return self.columns[-1].inputs[-1] + 1

    def matrix(self) -> np.ndarray:
        """Return the rows as numbers (row, input): float64, `HOLE` where a cell is empty."""
        found = np.zeros((self.num_rows, self.num_inputs))
        for each in self.columns:
            if each.kind != "category":
                values = _series(each.kept).cast(pl.Float64).fill_null(np.nan).to_numpy()
                found[:, each.inputs[0]] = np.where(np.isnan(values), HOLE, values)
                continue
            numbers = each.numbers
            if len(each.inputs) == 1:
                found[:, each.inputs[0]] = numbers
            else:
                found[np.arange(self.num_rows), np.array(each.inputs)[numbers]] = 1
        return found

    def table(self, matrix: np.ndarray) -> Any:
        """Return a table of the original library and types, from numbers (row, input)."""
        cells = {each.name: _cells(each, matrix[:, list(each.inputs)]) for each in self.columns}
        if self.library == "numpy":
            return np.stack(list(cells.values()), 1)
        if self.library == "polars":
            return pl.DataFrame(cells)
        import pandas as pd

        index = self.columns[0].kept.index if len(matrix) == self.num_rows else None
        return pd.DataFrame(cells, index=index, copy=False)


def _named(table: Any, names: Sequence[str], who: str) -> tuple[Library, Mapping[Any, Any]]:
    """Return the library of a table and its columns by name."""
    if isinstance(table, pl.DataFrame):
        found: tuple[Library, Mapping[Any, Any]] = ("polars", {each.name: each for each in table})
    elif hasattr(table, "iloc") and hasattr(table, "columns"):
        if not table.columns.is_unique:
            raise InputError(f"{who}: X must have columns of different names, got {list(table.columns)!r}.")
        found = "pandas", {name: table[name] for name in table.columns}
    else:
        array = np.asarray(table)
        if array.ndim != 2 or array.dtype.kind not in "iufb":
            came = f"an array of {array.dtype} of shape {array.shape}" if array.ndim else f"a {type(table).__name__}"
            raise InputError(f"{who}: X must be a data frame, or an array of numbers (row, column), got {came}.")
        own = list(names) or [f"x{number}" for number in range(array.shape[1])]
        if len(own) != array.shape[1] or len(set(own)) < len(own):
            raise InputError(f"{who}: names must be one per column ({array.shape[1]}), got {own!r}.")
        found = "numpy", dict(zip(own, array.T, strict=True))
    if not found[1] or not len(next(iter(found[1].values()))):
        raise InputError(f"{who}: X must have a column and a row, got none.")
    return found


def _series(kept: Any) -> pl.Series:
    if isinstance(kept, pl.Series):
        return kept
    return pl.Series("", np.asarray(kept, dtype=np.float64))


def _kind_of(kept: Any, *, is_category: bool, who: str) -> tuple[Kind, tuple[Any, ...]]:
    """Return the kind of a column, and its values if it is a category."""
    if not is_category and _is_number(kept):
        values = _series(kept).cast(pl.Float64).fill_null(np.nan).to_numpy()
        finite = values[~np.isnan(values)]
        if np.isinf(finite).any():
            raise InputError(f"{who}: expected finite numbers or empty cells, got an infinite one.")
        if not _is_whole_number(kept) or (abs(finite) <= LARGEST).all():
            return ("integer" if (finite == finite.round()).all() else "continuous"), ()
    try:
        levels = tuple(_unique(kept))
        hash(levels)
    except (TypeError, pl.exceptions.PolarsError):
        raise InputError(f"{who}: expected numbers, text, dates or booleans, got {brief(kept[:1])}.") from None
    if is_category and len(levels) > MAX_LEVELS:
        raise InputError(f"{who}: expected a category of at most {MAX_LEVELS} levels, got {len(levels):,}.")
    return "category", levels


def _is_number(kept: Any) -> bool:
    if isinstance(kept, pl.Series):
        return kept.dtype.is_numeric()
    kind = getattr(kept.dtype, "kind", "O")
    return kind in "iuf" and not hasattr(kept, "cat")


def _is_whole_number(kept: Any) -> bool:
    """Return whether the type of a column of numbers is one of whole numbers."""
    return kept.dtype.is_integer() if isinstance(kept, pl.Series) else kept.dtype.kind in "iu"


def holds_numbers(column: Column) -> bool:
    """Return whether a category's values are all numbers, as in a column of objects, or of very large numbers."""
    known = [each for each in column.levels if key_of(each) is not None]
    return bool(known) and all(isinstance(each, Number) and not isinstance(each, BOOLS) for each in known)


def _unique(kept: Any) -> list[Any]:
    if isinstance(kept, pl.Series):
        return kept.unique(maintain_order=True).to_list()
    if isinstance(kept, np.ndarray):
        return list(dict.fromkeys(kept.tolist()))
    return list(kept.unique())


def _cells(column: Column, numbers: np.ndarray) -> Any:
    """Return the cells of a column from its inputs (row, input), in its original type."""
    kept = column.kept
    if column.kind == "category":
        places = numbers.argmax(1) if numbers.shape[1] > 1 else numbers[:, 0].round().astype(np.int64)
        first = column.first_rows
        if isinstance(kept, pl.Series):
            return kept[first[places].tolist()]
        return kept[first[places]] if isinstance(kept, np.ndarray) else kept.iloc[first[places]].array
    values = np.where(numbers[:, 0] == HOLE, np.nan, numbers[:, 0])
    is_whole = column.kind == "integer"
    if re.fullmatch(r"u?int\d+", name := str(kept.dtype).lower()):
        values = values.clip(np.iinfo(name).min, np.iinfo(name).max)
    if isinstance(kept, pl.Series):
        cells = pl.Series(column.name, values, nan_to_null=kept.null_count() > 0)
        return cells.cast(kept.dtype if is_whole or kept.dtype.is_float() else pl.Float64)
    if not is_whole and kept.dtype.kind != "f":
        return values
    if isinstance(kept, np.ndarray):
        return values.astype(kept.dtype)
    import pandas as pd

    is_numpy = isinstance(kept.dtype, np.dtype)
    return values.astype(kept.dtype) if is_numpy else pd.array(values, dtype="Float64").astype(kept.dtype)
