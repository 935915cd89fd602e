"""Checks of parameters that no part checks by itself."""

from numbers import Integral, Real
from typing import Any

import numpy as np

from withstand.errors import InputError


def check_whole(who: str, name: str, value: Any) -> None:
    """Refuse what is no whole number of at least 1.

    Raises:
        InputError: If it is none.
    """
    if not isinstance(value, Integral) or isinstance(value, bool) or int(value) < 1:
        raise InputError(f"{who}: {name} must be a whole number of at least 1, got {value!r}.")


def check_temperature(who: str, value: Any) -> None:
    """Refuse what is no temperature; infinity is one.

    Raises:
        InputError: If it is no number >= 0.
    """
    if not (isinstance(value, Real) and float(value) >= 0):
        raise InputError(f"{who}: temperature must be a number >= 0, got {value!r}.")


def check_lr(who: str, value: Any) -> None:
    """Refuse what is no learning rate.

    Raises:
        InputError: If it is no finite number > 0.
    """
    if not (isinstance(value, Real) and 0 < float(value) < np.inf):
        raise InputError(f"{who}: lr must be a number > 0, got {value!r}.")


def widths_of(who: str, hidden: Any) -> tuple[int, ...]:
    """Return the widths of hidden layers, given as one or several.

    Raises:
        InputError: If one is no whole number of at least 1.
    """
    widths = np.ravel(np.asarray(hidden, dtype=object)).tolist()
    if not all(isinstance(each, Integral) and not isinstance(each, bool) and int(each) >= 1 for each in widths):
        raise InputError(f"{who}: hidden must be whole numbers of at least 1, got {hidden!r}.")
    return tuple(int(each) for each in widths)


def radius_of(who: str, radius: Any, num_features: int, *, name: str = "radius") -> float | tuple[float, ...]:
    """Return a radius given as a number, or as one per feature in whatever holds them.

    Raises:
        InputError: If there are not as many radii as features, or one is no number >= 0.
    """
    try:
        values = np.asarray(radius, dtype=np.float64)
    except (TypeError, ValueError):
        values = np.full((), np.nan)
    if values.ndim > 1 or (values.ndim == 1 and len(values) != num_features):
        shown = f"{len(values)} of them" if values.ndim == 1 else f"shape {values.shape}"
        raise InputError(f"{who}: {name} must be a number or one per feature ({num_features}), got {shown}.")
    if not (np.isfinite(values).all() and (values >= 0).all()):
        raise InputError(f"{who}: {name} must be a number >= 0, or one per feature, got {radius!r}.")
    return float(values) if values.ndim == 0 else tuple(values.tolist())
