"""Reading of tables: checked rows of numbers, targets and weights."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from numbers import Integral
from typing import Any, cast

import numpy as np
from sklearn.utils.validation import check_is_fitted, validate_data

from withstand.errors import InputError
from withstand.estimators.encoding import Encoding, learn_encoding, places_of
from withstand.estimators.rows import check_finite, checked_weights, numbers_only, warn_of_constant_columns

NAMED = ("categorical", "changes", "integer", "limits")  # parameters that name columns, besides radii
READING: dict[str, Any] = {"dtype": [np.float64, np.float32], "ensure_all_finite": False}  # see `check_finite`
Read = tuple[Encoding, np.ndarray, np.ndarray, np.ndarray | None]


def read_training(estimator: Any, X: Any, y: Any, sample_weight: Any, **checks: Any) -> Read:
    """Return the encoding, rows (row, column), targets and weights of a training table, without rows of weight 0.

    Raises:
        ValueError: If the table, the targets or the weights are invalid.
    """
    who, fills = type(estimator).__name__, estimator.missing == "impute"
    named = (radii_by_column(estimator.radius), *(getattr(estimator, name) for name in NAMED))
    with numbers_only(who, X, y):
        check_places(who, X, *named)
        encoding = learn_encoding(who, X, estimator.categorical, fills=fills)
        x, y = cast(Any, validate_data(estimator, encoding.numbered(who, X), y, **READING, **checks))
    names = getattr(estimator, "feature_names_in_", [f"x{number}" for number in range(x.shape[1])])
    names = tuple(str(name) for name in names)
    encoding = replace(encoding, names=names, levels=encoding.levels or (None,) * len(names))
    check_finite(who, x, names, holes=fills)
    weights = checked_weights(who, sample_weight, x)
    if weights is not None and not weights.all():
        x, y, weights = x[weights > 0], y[weights > 0], weights[weights > 0]
    encoding, x = encoding.without_unused(x)
    whole = places_of(who, "integer", estimator.integer, names)
    encoding = encoding.with_fills(x, whole) if fills else encoding
    x = encoding.filled(x)
    for place in whole:
        odd = x[:, place] != np.round(x[:, place])
        if odd.any():
            found = x[int(odd.argmax()), place]
            raise InputError(f"{who}: integer: column {names[place]!r} must hold whole numbers, got {found:g}.")
    warn_of_constant_columns(who, x, names)
    return encoding, x, y, weights


def radii_by_column(radius: Any) -> Mapping[Any, Any]:
    """Return radii that are given by column."""
    return radius if isinstance(radius, Mapping) else {}


def check_places(who: str, X: Any, *given: Any) -> None:
    """Reject places of columns in a data frame that names its columns by other numbers.

    Args:
        who: Name at the beginning of errors.
        X: The table.
        given: Options: dictionaries by column, lists of columns, or something else, which names none.

    Raises:
        InputError: If a column may be meant by its name or by its place.
    """
    columns = list(getattr(X, "columns", ()))
    if columns == list(range(len(columns))):
        return
    for each in given:
        keys = list(each) if isinstance(each, Mapping | Sequence | np.ndarray) else []
        wrong = [key for key in keys if isinstance(key, Integral) and not isinstance(key, bool) and key in columns]
        if wrong:
            advice = "give the columns of X names of text"
            raise InputError(f"{who}: column {wrong[0]!r} may be a name or a place; {advice}.")


def read_rows(estimator: Any, X: Any) -> np.ndarray:
    """Return the rows (row, column) of a table, checked against the training table.

    Raises:
        ValueError: If the table is invalid, or the estimator is not fitted.
    """
    check_is_fitted(estimator)
    who, encoding = type(estimator).__name__, estimator._encoding
    with numbers_only(who, X):
        x = cast(Any, validate_data(estimator, encoding.numbered(who, X), reset=False, **READING))
    check_finite(who, x, encoding.names, holes=encoding.fills is not None)
    return encoding.filled(x)
