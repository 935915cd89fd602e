"""What the seeds of one experiment have in common: the mean of every measure, and how far they spread."""

from collections.abc import Mapping, Sequence
from math import isfinite
from statistics import fmean, stdev

from withstand.study.row import Row
from withstand.study.table import Table


def seeds_table(results: Mapping[str, Sequence[Row]]) -> Table:
    """Return, for every measure and condition, its mean over the runs, standard deviation, lowest and highest value.

    Args:
        results: Rows by run; runs that differ in their seed only.

    Example:
        >>> rows = {str(k): [Row(measure="top1", condition="clean", value=k / 4, count=4)] for k in (1, 3)}
        >>> seeds_table(rows).lines
        (('top1', 'clean', '0.5000', '0.3536', '0.2500', '0.7500'),)
    """
    values: dict[tuple[str, str], list[float]] = {}
    for rows in results.values():
        for row in rows:
            values.setdefault((row.measure, row.condition), []).append(row.value)
    lines = []
    for names, own in values.items():
        known = all(map(isfinite, own))
        spread = stdev(own) if len(own) > 1 and known else 0.0
        middle = (f"{fmean(own):.4f}", f"{spread:.4f}") if known else ("never", "-")
        lines.append(
            (*names, *middle, *(f"{each:.4f}" if isfinite(each) else "never" for each in (min(own), max(own))))
        )
    return Table(
        title=f"Over {len(results)} seeds",
        columns=("measure", "condition", "mean", "std", "lowest", "highest"),
        lines=tuple(lines),
        num_labels=2,
    )
