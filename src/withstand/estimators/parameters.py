"""Checks of the estimators' parameters."""

from collections.abc import Mapping, Sequence
from numbers import Integral
from typing import Any

import numpy as np
from sklearn.utils import check_random_state

from withstand.engine import check_device
from withstand.errors import InputError
from withstand.estimators.encoding import by_place
from withstand.functional.balls import Norm
from withstand.limits import NonNegativeInt, PositiveFloat, PositiveInt, Seed, Temperature, refusal_of
from withstand.objectives.base import Objective
from withstand.perturbations.ball import Ball

MISSING = ("refuse", "impute")
NumDraws = PositiveInt | None
# Parameters that one limit describes.
LIMITS = {
    "epochs": PositiveInt,
    "batch_size": PositiveInt,
    "num_draws": NumDraws,
    "temperature": Temperature,
    "lr": PositiveFloat,
    "verbose": bool | NonNegativeInt,
}


def check_parameters(estimator: Any) -> None:
    """Check the parameters of an estimator that no other part checks."""
    who, radius, objective = type(estimator).__name__, estimator.radius, estimator.objective
    for name, limits in LIMITS.items():
        refusal = refusal_of(limits, getattr(estimator, name))
        if refusal is not None:
            raise InputError(f"{who}: {name} must be {refusal.expected}, got {refusal.value!r}.")
    widths_of(who, estimator.hidden)
    if estimator.missing not in MISSING:
        raise InputError(f"{who}: missing must be {' or '.join(MISSING)}, got {estimator.missing!r}.")
    if isinstance(radius, str) and radius != "cv":
        raise InputError(f"{who}: radius must be a number, one per feature, or 'cv', got {radius!r}.")
    if isinstance(radius, str) and (isinstance(objective, Objective) or objective == "regular"):
        raise InputError(f"{who}: radius='cv' needs an objective by name that has a radius.")
    check_device(estimator.device)


def seed_of(who: str, random_state: Any) -> int:
    """Return the seed of `random_state`; None and generators give one, as in scikit-learn.

    Raises:
        InputError: If it is neither.
    """
    if isinstance(random_state, Integral) and refusal_of(Seed, random_state) is None:
        return int(random_state)
    try:
        if isinstance(random_state, Integral):
            raise ValueError
        return int(check_random_state(random_state).randint(2**31 - 1))
    except ValueError:
        expected = "a whole number from 0 to 2^63 - 1, None or a generator of NumPy"
        raise InputError(f"{who}: random_state must be {expected}, got {random_state!r}.") from None


def widths_of(who: str, hidden: Any) -> tuple[int, ...]:
    """Return the widths of hidden layers, given as one or several.

    Raises:
        InputError: If one is not a whole number of at least 1.
    """
    widths = np.ravel(np.asarray(hidden, dtype=object)).tolist()
    if any(refusal_of(PositiveInt, each) for each in widths):
        raise InputError(f"{who}: hidden must be whole numbers of at least 1, got {hidden!r}.")
    return tuple(int(each) for each in widths)


def radius_of(who: str, radius: Any, names: Sequence[str], *, name: str = "radius") -> float | tuple[float, ...]:
    """Return a radius given as a number, or with one per column as an array, sequence or dictionary.

    Columns that a dictionary does not name have radius 0.

    Raises:
        InputError: If the number of radii is not that of columns, a column is unknown, or one is not a number >= 0.
    """
    num, given = len(names), radius
    if isinstance(radius, Mapping):
        own = by_place(who, name, radius, names)
        radius = [own.get(place, 0.0) for place in range(num)]
    try:
        array = np.asarray(radius)
        values = array.astype(np.float64) if array.dtype.kind in "iufO" else np.full((), np.nan)
        if array.dtype == object and any(isinstance(each, str | bool) for each in array.flat):
            values = np.full((), np.nan)
    except (TypeError, ValueError):
        values = np.full((), np.nan)
    if values.ndim > 1 or (values.ndim == 1 and len(values) != num):
        shown = f"{len(values)} of them" if values.ndim == 1 else f"shape {values.shape}"
        raise InputError(f"{who}: {name} must be a number or one per feature ({num}), got {shown}.")
    if not (np.isfinite(values).all() and (values >= 0).all()):
        raise InputError(f"{who}: {name} must be a number >= 0, or one per feature, got {given!r}.")
    return float(values) if values.ndim == 0 else tuple(values.tolist())


def ball_of(
    estimator: Any, radius: Any, names: Sequence[str], *, norm: Norm | None = None, name: str = "radius"
) -> Ball:
    """Return the ball of a radius, given as a number or one per column, in the estimator's norm and unit."""
    own = radius_of(type(estimator).__name__, radius, names, name=name)
    return Ball(norm or estimator.norm, own, unit=estimator.unit)
