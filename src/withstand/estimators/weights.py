"""Weights of rows."""

from typing import Any

import numpy as np
from sklearn.utils.validation import _check_sample_weight

from withstand.errors import InputError


def check_weights(who: str, sample_weight: Any, x: np.ndarray) -> np.ndarray | None:
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
