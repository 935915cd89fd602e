"""Checks of a table's rows, targets and weights."""

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from sklearn.utils.validation import _check_sample_weight

from withstand.data.checks import check_plain
from withstand.errors import InputError, told


class NotANumber(InputError, TypeError):
    """A value for which scikit-learn expects a TypeError."""


ROWS_AT_ONCE = 65536


@contextmanager
def numbers_only(who: str, X: Any, y: Any = None) -> Iterator[None]:
    """Reject a table with other values than real numbers, before or within the code that converts it.

    Raises:
        InputError: If a column holds complex numbers or dates, a cell or a target is masked, or the code within fails
            to convert a value.
    """
    if hasattr(X, "columns") and hasattr(X, "dtypes"):
        for name, kind in zip(X.columns, X.dtypes, strict=True):
            _check_kind(f"{who}: X: column {name!r}", kind)
    _check_kind(f"{who}: X", getattr(X, "dtype", None))
    check_plain(f"{who}: X", X)
    check_plain(f"{who}: y", y)
    try:
        yield
    except MemoryError:
        raise
    except (TypeError, RuntimeError) as error:  # PyTorch raises RuntimeError for tensors with a gradient
        raise NotANumber(f"{who}: X must be a table of numbers ({told(error)}).") from error
    except ValueError as error:
        _, found, text = str(error).partition("could not convert string to float: ")
        if not found:
            raise
        raise InputError(f"{who}: X must hold numbers, got text: {text}; encode it as numbers.") from None
    except Exception as error:  # what converts itself to an array may raise anything
        raise InputError(f"{who}: X must be a table of numbers ({told(error)}).") from error


def _check_kind(who: str, kind: Any) -> None:
    """Reject types that would be converted silently."""
    letter, is_date = getattr(kind, "kind", ""), getattr(kind, "is_temporal", lambda: False)()  # NumPy's, polars'
    if letter == "c":
        raise InputError(f"{who} must hold real numbers, got {kind}: Complex data not supported.")
    if letter in tuple("mM") or is_date:
        raise InputError(f"{who} must hold numbers, got dates or times ({kind}); encode them as numbers.")


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
    check_plain(f"{who}: y", y)
    values = np.asarray(y)
    _check_kind(f"{who}: y", values.dtype)
    try:
        values.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(f"{who}: y must hold numbers ({told(error)}).") from None


def checked_weights(who: str, sample_weight: Any, x: np.ndarray) -> np.ndarray | None:
    """Return the weights as float64, or None if there are none.

    Raises:
        ValueError: If there is not one finite number >= 0 per row, or all are 0.
    """
    if sample_weight is None:
        return None
    check_plain(f"{who}: sample_weight", sample_weight)
    try:
        _check_kind(f"{who}: sample_weight", np.asarray(sample_weight).dtype)
        weights = _check_sample_weight(sample_weight, x, dtype=np.float64)
    except (TypeError, ValueError) as error:
        if isinstance(error, ValueError) and "sample_weight" in str(error):
            raise
        raise InputError(f"{who}: sample_weight must be numbers >= 0, not all 0 ({told(error)}).") from error
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
        warnings.warn(f"{who}: columns with one value are ignored: {shown}.", UserWarning, stacklevel=5)
