"""Features: statistics and kinds of the columns of a table."""

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Float
from torch import Tensor

from withstand.functional.changes import Change

Kind = Literal["continuous", "integer", "category"]


class Features(NamedTuple):
    """One entry per input of a table, in their order: input = (value - offset) / scale.

    So a radius r in the units of the file is r / scale in the inputs, and r quartile distances are r * iqr / scale.

    Attributes:
        names: The column, or `column=level` for a level of a category, which is 1 in the rows that have it, else 0.
        columns: The column; the levels of a category share it.
        kinds: `continuous`, `integer` (only whole numbers in the training part), or `category` (one level of it).
        movable: Whether a perturbation may displace it: continuous features, unless the data set says otherwise.
        offset: Subtracted from the values, in the units of the file: the mean over the training part, or 0.
        scale: Divisor of the difference, > 0, in the units of the file: the standard deviation over the training
            part (divided by the number of rows, not one less), or 1.
        iqr: Distance of the quartiles (interpolated linearly) over the training part, in the units of the file;
            0 if the middle half of the rows has one value.
        changes: Allowed changes of the other features, in the units of the inputs.

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


def fit_features(names: Sequence[str], x: Float[Tensor, "row feature"]) -> Features:
    """Return the features of continuous columns that are not scaled, from the rows of the training part."""
    num = len(names)
    with np.errstate(over="ignore", invalid="ignore"):  # numbers too large for 32 bits are refused later, by column
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
    )
