"""Checks of a table's rows, targets and weights."""

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from sklearn.utils.validation import _check_sample_weight

from withstand.errors import InputError

ROWS_AT_ONCE = 65536


@contextmanager
def numbers_only(who: str) -> Iterator[None]:
    """Turn the error for text in a table into a one-line message.

    Raises:
        InputError: If the code within fails to convert text to a number.
    """
    try:
        yield
    except ValueError as error:
        _, found, text = str(error).partition("could not convert string to float: ")
        if not found:
            raise
        raise InputError(f"{who}: X must hold numbers, got text: {text}; encode it as numbers.") from None


def check_finite(who: str, x: np.ndarray, names: Sequence[str]) -> None:
    """Reject non-finite numbers, by row (from 0) and column."""
    for start in range(0, len(x), ROWS_AT_ONCE):
        wrong = ~np.isfinite(x[start : start + ROWS_AT_ONCE])
        if not wrong.any():
            continue
        row, column = np.argwhere(wrong)[0] + (start, 0)
        value = "NaN" if np.isnan(x[row, column]) else x[row, column].item()
        raise InputError(f"{who}: X must hold finite numbers, got {value} in row {row}, column {names[column]!r}.")


def check_targets(who: str, y: Any) -> None:
    """Reject regression targets that are not numbers."""
    if np.asarray(y).dtype.kind == "c":  # scikit-learn reports it
        return
    try:
        np.asarray(y, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(f"{who}: y must hold numbers ({error}).") from None


def checked_weights(who: str, sample_weight: Any, x: np.ndarray) -> np.ndarray | None:
    """Return the weights as float64, or None if there are none.

    Raises:
        ValueError: If there is not one finite number >= 0 per row, or all are 0.
    """
    if sample_weight is None:
        return None
    weights = _check_sample_weight(sample_weight, x, dtype=np.float64)
    if (weights < 0).any():
        raise InputError(f"{who}: sample_weight must be numbers >= 0, got {weights.min():g}.")
    if not weights.any():
        raise InputError(f"{who}: sample_weight must hold a number above 0, got only 0.")
    return weights


def warn_of_constant_columns(who: str, x: np.ndarray, names: Sequence[str]) -> None:
    """Warn of constant columns, which are ignored."""
    constant = [names[column] for column in (x.min(axis=0) == x.max(axis=0)).nonzero()[0]]
    if 0 < len(constant) < len(names):
        shown = ", ".join(map(repr, constant[:5])) + (", ..." if len(constant) > 5 else "")
        warnings.warn(f"{who}: columns with one value are ignored: {shown}.", UserWarning, stacklevel=4)
