"""Scaling of features, from weighted rows."""

from collections.abc import Iterator, Sequence

import numpy as np

from withstand.data.tables.features import Features
from withstand.errors import InputError

VALUES_AT_ONCE = 2**23  # in 64 bits


def describe(
    who: str, x: np.ndarray, weights: np.ndarray | None, names: Sequence[str], *, rows: np.ndarray | None = None
) -> Features:
    """Return the features with their mean as offset and their standard deviation as scale.

    A constant column has an infinite scale: its network input is always 0, and it never moves.

    Args:
        who: First word of error messages.
        x: Rows of finite numbers, float64 or float32.
        weights: Weights of the rows, > 0; None weighs all equally. Quartiles are unweighted.
        names: Names of the columns.
        rows: Numbers of the rows to use, as many as weights; None uses all.

    Raises:
        InputError: If no column varies, or numbers are too large for their squares.
    """
    found = [_moments(part, weights) for part in _some_columns(x, rows)]
    varied, offset, scale, spread = (np.concatenate(each) for each in zip(*found, strict=True))
    if not varied.any():
        num_rows = len(x) if rows is None else len(rows)
        raise InputError(f"{who}: X must have a column with at least two values, got none (n_samples = {num_rows}).")
    wrong = ~np.isfinite(scale) | ~np.isfinite(spread) | (varied & (scale == 0))
    if wrong.any():
        raise InputError(f"{who}: column {names[int(wrong.argmax())]!r} holds numbers too large or too small to scale.")
    num = len(names)
    return Features(
        names=tuple(names),
        columns=tuple(names),
        kinds=("continuous",) * num,
        movable=tuple(varied.tolist()),
        offset=tuple(offset.tolist()),
        scale=tuple(np.where(varied, scale, np.inf).tolist()),
        iqr=tuple(spread.tolist()),
    )


def scaled(x: np.ndarray, features: Features) -> np.ndarray:
    """Return the inputs of the network, in float64."""
    moved = np.subtract(x, np.asarray(features.offset), order="C")
    return np.divide(moved, np.asarray(features.scale), out=moved)


def _some_columns(x: np.ndarray, rows: np.ndarray | None) -> Iterator[np.ndarray]:
    """Yield the columns, as many at a time as fit in memory, in float64."""
    num_rows, num = len(x) if rows is None else len(rows), x.shape[1]
    # Two or more, since NumPy adds the numbers of a single column in another order.
    count = max(1, num // max(2, VALUES_AT_ONCE // num_rows))
    for part in np.array_split(np.arange(num), count):
        own = x[:, part[0] : part[-1] + 1]
        yield np.ascontiguousarray(own if rows is None else own[rows], dtype=np.float64)


def _moments(x: np.ndarray, weights: np.ndarray | None) -> tuple[np.ndarray, ...]:
    """Return for each column whether it varies, its mean, standard deviation and interquartile range."""
    with np.errstate(over="ignore", invalid="ignore"):
        offset = np.average(x, axis=0, weights=weights)
        scale = np.sqrt(np.average((x - offset) ** 2, axis=0, weights=weights))
        low, high = np.quantile(x, (0.25, 0.75), axis=0)
        return x.min(axis=0) < x.max(axis=0), offset, scale, high - low
