"""Axes of a study: column names and labels."""

import re
from collections.abc import Iterable

# Columns of a frame of rows, after those of the axes.
OWN = ("seed", "run", "status", "problem", "measure", "condition", "value", "count", "low", "high", "doubt")
# What frames that are made of it have besides.
DERIVED = (
    *("combination", "mean", "std", "done", "planned", "missing", "samples", "sample_low", "sample_high"),
    *("seeds", "there", "difference", "better", "pairs", "base"),
)
QUANTILE = re.compile(r"q\d[\d.e+-]*")


def columns_of(axes: Iterable[str]) -> dict[str, str]:
    """Return the name of each axis's column: its own, with a `_` behind it if that is the name of another column.

    Example:
        >>> columns_of(["std", "optimizer.std", "run", "run_", "q50"])
        {'std': 'std_', 'optimizer.std': 'optimizer.std', 'run': 'run__', 'run_': 'run_', 'q50': 'q50_'}
    """
    names = list(dict.fromkeys(axes))
    found: dict[str, str] = {}
    for name in names:
        column = name
        while column in (*OWN, *DERIVED) or QUANTILE.fullmatch(column) or (column != name and column in names):
            column += "_"
        found[name] = column
    return found


def words_of(column: str) -> str:
    """Return the label of a column's axis within a sentence.

    Example:
        >>> words_of("training.optimizer.weight_decay"), words_of("std_")
        ('weight decay', 'std')
    """
    return column.rsplit(".", 1)[-1].strip("_").replace("_", " ") or column
