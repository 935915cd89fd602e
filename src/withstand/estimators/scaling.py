"""Scaling of features, from weighted rows."""

from collections.abc import Sequence

import numpy as np

from withstand.data.tables.features import Features
from withstand.errors import InputError


def describe(who: str, x: np.ndarray, weights: np.ndarray | None, names: Sequence[str]) -> Features:
    """Return the features with their mean as offset and their standard deviation as scale.

    A constant column has an infinite scale: its network input is always 0, and it never moves.

    Args:
        who: First word of error messages.
        x: Rows of finite numbers, float64.
        weights: Weights of the rows, > 0; None weighs all equally. Quartiles are unweighted.
        names: Names of the columns.

    Raises:
        InputError: If no column varies, or numbers are too large for their squares.
    """
    varied = x.min(axis=0) < x.max(axis=0)
    if not varied.any():
        raise InputError(f"{who}: X must have a column with at least two values, got none (n_samples = {len(x)}).")
    with np.errstate(over="ignore", invalid="ignore"):
        offset = np.average(x, axis=0, weights=weights)
        scale = np.sqrt(np.average((x - offset) ** 2, axis=0, weights=weights))
        low, high = np.quantile(x, (0.25, 0.75), axis=0)
        spread = high - low
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
    return (x - np.asarray(features.offset)) / np.asarray(features.scale)
