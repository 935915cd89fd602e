"""Checks of a table's rows, targets and weights."""

import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from sklearn.utils.validation import _check_sample_weight
from torch import Tensor

from withstand.data.checks import check_plain
from withstand.data.tables.rules import Rules
from withstand.errors import InputError, brief, told


class NotANumber(InputError, TypeError):
    """A value for which scikit-learn expects a TypeError."""


ROWS_AT_ONCE = 65536
ROWS_TRIED = 1024


def warn(text: str) -> None:
    """Warn at the line that calls the package."""
    level, frame = 1, sys._getframe()
    while frame is not None and frame.f_globals.get("__name__", "").partition(".")[0] in ("withstand", "contextlib"):
        level, frame = level + 1, frame.f_back
    warnings.warn(text, UserWarning, stacklevel=level)


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
        if len(set(X.columns)) < len(X.columns):
            raise InputError(f"{who}: X must have columns of different names, got {brief(list(X.columns))}.")
    _check_kind(f"{who}: X", getattr(X, "dtype", None))
    check_plain(f"{who}: X", X)
    check_plain(f"{who}: y", y)
    try:
        yield
    except (MemoryError, Warning):
        raise
    except (TypeError, RuntimeError) as error:  # PyTorch raises RuntimeError for tensors with a gradient
        raise NotANumber(f"{who}: X must be a table of numbers ({told(error)}).") from error
    except ValueError as error:
        _, found, text = str(error).partition("could not convert string to float: ")
        if not found:
            raise
        raise InputError(
            f"{who}: X must hold numbers, got text: {text}; encode it as numbers, or name its column in categorical."
        ) from None
    except Exception as error:  # what converts itself to an array may raise anything
        raise InputError(f"{who}: X must be a table of numbers ({told(error)}).") from error


def _check_kind(who: str, kind: Any) -> None:
    """Reject types that would be converted silently."""
    letter, is_date = getattr(kind, "kind", ""), getattr(kind, "is_temporal", lambda: False)()  # NumPy's, polars'
    if letter == "c":
        raise InputError(f"{who} must hold real numbers, got {kind}: Complex data not supported.")
    if letter in tuple("mM") or is_date:
        raise InputError(f"{who} must hold numbers, got dates or times ({kind}); encode them as numbers.")


def check_finite(who: str, x: np.ndarray, names: Sequence[str], *, holes: bool = False) -> None:
    """Reject non-finite numbers, by row (from 0) and column; with holes, NaN is accepted."""
    for start in range(0, len(x), ROWS_AT_ONCE):
        part = x[start : start + ROWS_AT_ONCE]
        wrong = np.isinf(part) if holes else ~np.isfinite(part)
        if not wrong.any():
            continue
        row, column = np.argwhere(wrong)[0] + (start, 0)
        is_empty = np.isnan(x[row, column])
        value, hint = ("NaN", "; missing='impute' accepts empty cells") if is_empty else (x[row, column].item(), "")
        place = f"row {row}, column {names[column]!r}"
        raise InputError(f"{who}: X must hold finite numbers, got {value} in {place}{hint}.")


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
        warn(f"{who}: columns with one value are ignored: {shown}.")


def one_hot_groups(x: np.ndarray) -> tuple[tuple[int, ...], ...]:
    """Return groups of neighbouring columns that hold only 0 and 1, and a single 1 in every row.

    Example:
        >>> one_hot_groups(np.array([[0.5, 1, 0, 0, 7], [1.5, 0, 1, 0, 7], [0.1, 0, 0, 1, 7]]))
        ((1, 2, 3),)
    """
    columns = np.arange(x.shape[1])
    for start in range(0, len(x), ROWS_TRIED):
        part = x[start : start + ROWS_TRIED, columns]
        columns = columns[((part == 0) | (part == 1)).all(0)]
        if not len(columns):
            return ()
    binary, found, first = set(columns.tolist()), [], 0
    while first < x.shape[1]:
        total, last = np.zeros(len(x)), first
        while last in binary and total.max() <= 1:
            total += x[:, last]
            last += 1
            if last > first + 1 and (total == 1).all():
                found.append(tuple(range(first, last)))
                first = last - 1
                break
        first += 1
    return tuple(found)


def warn_of_illegal_rows(who: str, x: Tensor, rules: Rules | None) -> None:
    """Warn of training rows that break rules or limits themselves, which therefore never move."""
    if rules is not None:
        count = sum(int((~rules.are_legal(part)).sum()) for part in x.split(ROWS_AT_ONCE))
        if count:
            warn(f"{who}: {count:,} of {len(x):,} rows break a rule or a limit; they do not move.")
