"""Columns that are probably no inputs: numbers or names of the rows, and those that decide the class alone."""

import logging
from collections.abc import Callable

import torch
from jaxtyping import Float, Int
from torch import Tensor

from withstand.data.base import TensorSplit

FEWEST_ROWS = 20  # of the training part, for a warning
FIRST = 1000  # rows that are tested first, since they clear most columns
ROWS_PER_VALUE = 2  # on average, for values that decide the class
ID = "has another value in every training row, as numbers and names of rows have"
LEAK = "alone decides the class of every training row, as a column does that is known only after the class"

Values = Float[Tensor, " row"]
Labels = Int[Tensor, " row"]

log = logging.getLogger("withstand")


def warn_of_suspects(where: str, split: TensorSplit) -> None:
    """Log the columns of the training part that number the rows or decide the class.

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
        if levels == own:
            values, is_whole = _level_numbers(split.x, own), True
        else:
            first = next(each for each in own if each not in levels)
            values, is_whole = split.x[:, first], features.kinds[first] == "integer"
        for reason, test in ((ID if is_whole else "", _is_id), (LEAK, _is_leak)):
            if reason and _holds(test, values, y):
                log.warning("%s, column %r %s; consider --data.drop.", where, name, reason)


def _level_numbers(x: Float[Tensor, "row feature"], inputs: list[int]) -> Values:
    """Return the number of each row's level, from 1; 0 without one."""
    return x[:, inputs] @ torch.arange(1.0, len(inputs) + 1)


def _holds(test: Callable[[Values, Labels], bool], values: Values, y: Labels) -> bool:
    """Return whether the first and all rows pass a test."""
    return test(values[:FIRST], y[:FIRST]) and (len(values) <= FIRST or test(values, y))


def _is_id(values: Values, _: Labels) -> bool:
    return len(values.unique()) == len(values)


def _is_leak(values: Values, y: Labels) -> bool:
    """Return whether each class has a range of values of its own, or repeated values decide the class."""
    order = values.argsort(stable=True)
    ordered, own = values[order], y[order]
    has_end, has_change = ordered[1:] != ordered[:-1], own[1:] != own[:-1]
    if (has_change & ~has_end).any():  # one value, two classes
        return False
    num_values, num_classes = int(has_end.sum()) + 1, len(own.unique())
    return int(has_change.sum()) == num_classes - 1 or ROWS_PER_VALUE * num_values <= len(own)
