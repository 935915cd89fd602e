"""Features: statistics and kinds of the columns of a table."""

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Float
from torch import Tensor

from withstand.functional.changes import Change

Kind = Literal["continuous", "integer", "category"]


class Features(NamedTuple):
    """One entry per input of a table, in order: input = (value - offset) / scale.

    A radius r in the units of the file is r / scale in the inputs; r interquartile ranges are r * iqr / scale.

    Attributes:
        names: The column, or `column=level` for a level of a one-hot category.
        columns: The column, shared by the levels of a category.
        kinds: `continuous`, `integer` (only whole numbers in training), or `category`.
        movable: Whether perturbations may displace it; by default, continuous features are movable.
        offset: Mean over the training part in the units of the file, or 0.
        scale: Standard deviation over the training part in the units of the file (divisor: number of rows), or 1; > 0.
        iqr: Interquartile range (linear interpolation) over the training part in the units of the file, >= 0.
        changes: Allowed changes of the other features, in the units of the inputs.
        typical: Input of an empty cell: the lower median of numbers over the training part, or 1 for the most frequent
            level of a category, else 0; of columns with inputs for empty cells, these are 1. Empty if unknown.

    Example:
        >>> import torch
        >>> fit_features(["a", "b"], torch.tensor([[0.0, 1.0], [2.0, 1.0], [4.0, 1.0], [6.0, 9.0]])).iqr
        (3.0, 2.0)
    """

    names: tuple[str, ...]
    columns: tuple[str, ...]
    kinds: tuple[Kind, ...]
    movable: tuple[bool, ...]
    offset: tuple[float, ...]
    scale: tuple[float, ...]
    iqr: tuple[float, ...]
    changes: tuple[Change, ...] = ()
    typical: tuple[float, ...] = ()


def fit_features(names: Sequence[str], x: Float[Tensor, "row feature"]) -> Features:
    """Return the features of unscaled continuous columns, from the training rows."""
    num = len(names)
    with np.errstate(over="ignore", invalid="ignore"):  # too large numbers are rejected later, by column
        low, high = np.quantile(x.numpy(), (0.25, 0.75), axis=0)
        distance = high - low
    return Features(
        names=tuple(names),
        columns=tuple(names),
        kinds=("continuous",) * num,
        movable=(True,) * num,
        offset=(0.0,) * num,
        scale=(1.0,) * num,
        iqr=tuple(distance.tolist()),
        typical=tuple(x.median(0).values.tolist()),
    )
