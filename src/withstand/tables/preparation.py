"""Preparation: the preprocessing from the columns of a table to the features of trees."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from withstand.certificates.trees.ensemble import Ensemble
from withstand.certificates.trees.leaves import Cuts
from withstand.data.tables.rules import HOLE
from withstand.errors import InputError
from withstand.tables.columns import Column, Columns

# Transformers that map each column of numbers to one feature by a non-decreasing function.
SCALERS = ("StandardScaler", "MinMaxScaler", "MaxAbsScaler", "RobustScaler")
LARGEST = 1e30  # of the values among which thresholds are sought; 32 bits hold it


@dataclass(frozen=True, kw_only=True, eq=False)
class Preparation:
    """How rows become features.

    Attributes:
        end: The classifier that takes the features.
        prepare: Maps rows of the matrix (row, input) to features (row, feature), with NaN for empty cells.
        source: The input that alone determines each feature, by a non-decreasing function; -1 for features of a
            category.
    """

    end: Any
    prepare: Callable[[np.ndarray], np.ndarray]
    source: np.ndarray

    def cuts(self, ensemble: Ensemble, columns: Columns, row: np.ndarray) -> Cuts:
        """Return the thresholds of trees in the units of the inputs, by bisection over all numbers of 64 bits.

        Args:
            ensemble: The trees.
            columns: The columns.
            row: Any row of the matrix.
        """
        is_inside = ensemble.feature >= 0
        source = np.where(is_inside, self.source[ensemble.feature], -1)
        last = np.full(len(source), np.nan)
        nodes = [(source == each).nonzero()[0] for each in range(columns.num_inputs)]
        rows = np.repeat(row[None], max(1, *(len(each) for each in nodes)), 0)
        places = np.concatenate([np.arange(len(each)) for each in nodes])
        nodes = np.concatenate(nodes)
        feature, inputs, threshold = ensemble.feature[nodes], source[nodes], ensemble.threshold[nodes]

        def goes_left(values: np.ndarray) -> np.ndarray:
            rows[places, inputs] = values
            return self.prepare(rows)[places, feature] <= threshold

        ends = np.array([_ends(each) for each in columns.columns for _ in each.inputs]).T
        low, high = (each[inputs] for each in ends)
        starts, stops = ~goes_left(low), goes_left(high)
        low, high = _order(low), _order(high)
        while ((high - low).view(np.uint64) > 1).any():
            middle = (low >> 1) + (high >> 1) + (low & high & 1)
            left = goes_left(_order(middle.view(np.float64)).view(np.float64))
            low, high = np.where(left, middle, low), np.where(left, high, middle)
        found = _order(low.view(np.float64)).view(np.float64)
        last[nodes] = np.where(starts, -np.inf, np.where(stops, np.inf, found))
        return Cuts(source, last)


def _order(values: np.ndarray) -> np.ndarray:
    """Return whole numbers in the order of floating-point numbers; the bits of these are its own inverse."""
    bits = np.ascontiguousarray(values).view(np.int64)
    return bits ^ ((bits >> 63) & np.int64(2**63 - 1))


def _ends(column: Column) -> tuple[float, float]:
    """Return the least and the largest number that a column's type holds."""
    kind = _dtype(column)
    if column.kind == "category" or kind is None or kind.kind not in "iu":
        return -LARGEST, LARGEST
    known = np.iinfo(kind)
    return float(max(known.min, -(2**53))), float(min(known.max, 2**53))


def _dtype(column: Column) -> np.dtype | None:
    """Return the type of a column's cells in memory; None if it holds no numbers."""
    kept = column.kept
    try:
        return (
            np.dtype(getattr(kept.dtype, "numpy_dtype", kept.dtype))
            if hasattr(kept, "shape") and not hasattr(kept, "to_arrow")
            else kept.head(0).to_numpy().dtype
        )
    except TypeError:
        return None


def read_preparation(model: Any, columns: Columns) -> Preparation:
    """Return how a fitted classifier of a table's rows prepares them.

    Raises:
        InputError: If the preparation is of a kind whose thresholds cannot be followed back to the columns.
    """
    numbers = _sources(columns)
    if not hasattr(model, "steps"):
        return Preparation(end=model, prepare=_as_numbers(columns), source=numbers)
    kinds = [type(each).__name__ for _, each in model.steps[:-1] if each is not None and each != "passthrough"]
    others = [each for each in kinds if each not in SCALERS]
    if others or (numbers < 0).any():
        what = f"got {others[0]}" if others else "got a column that holds none"
        raise InputError(
            f"{columns.who}: exact follows numbers through {', '.join(SCALERS)} only, {what}; leave exact out."
        )
    before = model[:-1]

    def prepare(matrix: np.ndarray) -> np.ndarray:
        return np.asarray(before.transform(columns.table(matrix)), dtype=np.float64)

    return Preparation(end=model.steps[-1][1], prepare=prepare, source=numbers)


def _sources(columns: Columns) -> np.ndarray:
    return np.array([-1 if each.kind == "category" else each.inputs[0] for each in columns.columns])


def _as_numbers(columns: Columns) -> Callable[[np.ndarray], np.ndarray]:
    """Return how a classifier without preparation sees the matrix: a feature per column."""
    levels = {each.name: _level_numbers(each, columns.who) for each in columns.columns if each.kind == "category"}
    kinds = [_dtype(each) for each in columns.columns]

    def prepare(matrix: np.ndarray) -> np.ndarray:
        found = np.empty((len(matrix), len(columns.columns)))
        for number, (each, kind) in enumerate(zip(columns.columns, kinds, strict=True)):
            own = matrix[:, list(each.inputs)]
            if each.kind == "category":
                places = own.argmax(1) if len(each.inputs) > 1 else own[:, 0].astype(np.int64)
                found[:, number] = levels[each.name][places]
                continue
            values = np.where(own[:, 0] == HOLE, np.nan, own[:, 0])
            is_short = kind is not None and kind.kind == "f" and kind.itemsize < 8
            found[:, number] = values.astype(kind) if is_short else values
        return found

    return prepare


def _level_numbers(column: Column, who: str) -> np.ndarray:
    try:
        return np.array([np.nan if each is None else float(each) for each in column.levels])
    except (TypeError, ValueError):
        raise InputError(
            f"{who}: exact needs numbers in every column of trees without a pipeline, got {column.name!r} with "
            f"{column.levels[0]!r}; leave exact out."
        ) from None
