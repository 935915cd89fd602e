"""What is asked of the rows of a table: numbers, finite ones, and weights."""

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from sklearn.utils.validation import _check_sample_weight

from withstand.errors import InputError


@contextmanager
def numbers_only(who: str) -> Iterator[None]:
    """Say in one sentence that a table holds text.

    Raises:
        InputError: If what is done within fails to turn text into a number.
    """
    try:
        yield
    except ValueError as error:
        _, found, text = str(error).partition("could not convert string to float: ")
        if not found:
            raise
        raise InputError(f"{who}: X must hold numbers, got text: {text}; make columns of numbers of it.") from None


def check_finite(who: str, x: np.ndarray, names: Sequence[str]) -> None:
    """Refuse what is no finite number.

    Raises:
        InputError: If there is such a value; its row, from 0, and its column are named.
    """
    wrong = ~np.isfinite(x)
    if wrong.any():
        row, column = np.argwhere(wrong)[0]
        value = "NaN" if np.isnan(x[row, column]) else x[row, column].item()
        raise InputError(f"{who}: X must hold finite numbers, got {value} in row {row}, column {names[column]!r}.")


def check_targets(who: str, y: Any) -> None:
    """Refuse targets of a regression that are no numbers.

    Raises:
        InputError: If there is text among them, say.
    """
    if np.asarray(y).dtype.kind == "c":  # scikit-learn has words for it
        return
    try:
        np.asarray(y, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(f"{who}: y must hold numbers, got something else: {error}.") from None


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
    """Warn of columns with one value: nothing can be learned from them, and no change of them is ever seen."""
    constant = [names[column] for column in (x.min(axis=0) == x.max(axis=0)).nonzero()[0]]
    if 0 < len(constant) < len(names):
        shown = ", ".join(map(repr, constant[:5])) + (", ..." if len(constant) > 5 else "")
        warnings.warn(f"{who}: columns with one value are ignored: {shown}.", UserWarning, stacklevel=4)
