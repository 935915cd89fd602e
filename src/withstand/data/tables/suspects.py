"""Warnings about columns that look like identifiers or leak the label."""

import logging
from collections.abc import Callable

import torch
from jaxtyping import Float, Int
from torch import Tensor

from withstand.data.base import TensorSplit

FEWEST_ROWS = 20  # of the training part, for a warning
FIRST = 1000  # rows that are tested first; most columns pass no test on them
ROWS_PER_VALUE = 2  # on average, for values that determine the class
ID = "has a different value in every training row, like an identifier"
LEAK = "determines the class of every training row, so it may leak the label"

Values = Float[Tensor, " row"]
Labels = Int[Tensor, " row"]

log = logging.getLogger("withstand")


def warn_of_suspects(where: str, split: TensorSplit) -> None:
    """Log the columns of the training part that identify the rows or determine the class.

    Args:
        where: First words of the message: the data set and its file.
        split: The training part.
    """
    features, y = split.features, split.y
    if features is None or len(y) < FEWEST_ROWS:
        return
    for name in dict.fromkeys(features.columns):
        own = [each for each, column in enumerate(features.columns) if column == name]
        levels = [each for each in own if features.kinds[each] == "category"]
        kept = own if levels == own else [each for each in own if each not in levels]
        part = split.x[:, kept[0] : kept[-1] + 1]
        for reason, test in ((ID, _is_id), (LEAK, _is_leak)):
            is_fraction = features.kinds[kept[0]] == "continuous"
            if not (is_fraction and reason == ID) and _holds(test, part, y):
                log.warning("%s, column %r %s; consider --data.drop.", where, name, reason)


def _holds(test: Callable[[Values, Labels], bool], x: Float[Tensor, "row input"], y: Labels) -> bool:
    """Return whether the first and all rows pass a test on the values of a column, or the numbers of its levels."""
    weights = torch.arange(1.0, x.shape[1] + 1)
    return test(x[:FIRST] @ weights, y[:FIRST]) and (len(x) <= FIRST or test(x @ weights, y))


def _is_id(values: Values, _: Labels) -> bool:
    return len(values.unique()) == len(values)


def _is_leak(values: Values, y: Labels) -> bool:
    """Return whether each class has a range of values of its own, or repeated values determine the class."""
    order = values.argsort(stable=True)
    ordered, own = values[order], y[order]
    has_end, has_change = ordered[1:] != ordered[:-1], own[1:] != own[:-1]
    if (has_change & ~has_end).any():  # one value, two classes
        return False
    num_values, num_classes = int(has_end.sum()) + 1, len(own.unique())
    return int(has_change.sum()) == num_classes - 1 or ROWS_PER_VALUE * num_values <= len(own)
