"""Seeds of one experiment: mean and spread of every measure."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import inf, isfinite
from statistics import fmean, stdev

from withstand.rendering.grid import Grid
from withstand.study.measures.measure import Measure
from withstand.study.measures.row import Row


def seeds_table(results: Mapping[str, Sequence[Row]], measures: Mapping[str, Measure]) -> Grid:
    """Return, for every measure and condition, its mean over the runs, standard deviation, lowest and highest value.

    Args:
        results: Rows by run; runs that differ in their seed only.
        measures: Measures of these rows, by name.

    Example:
        >>> top1 = Measure(name="top1", column="correct", words="top-1 accuracy", percent=True)
        >>> rows = {str(k): [Row(measure="top1", condition="clean", value=k / 4, count=4)] for k in (1, 3)}
        >>> seeds_table(rows, {"top1": top1}).lines
        (('top-1 accuracy, %', 'clean', '50.0', '35.4', '25.0', '75.0'),)
    """
    values: dict[tuple[str, str], list[float]] = {}
    for rows in results.values():
        for row in rows:
            values.setdefault((row.measure, row.condition), []).append(row.value)
    lines = []
    for (name, condition), own in values.items():
        measure = measures[name]
        known = all(map(isfinite, own))
        spread = stdev(own) if len(own) > 1 and known else 0.0
        # A standard deviation is no bound.
        std = replace(measure, kind="").written(spread) if known else "-"
        middle = measure.written(fmean(own) if known else inf)
        if measure.searched is not None and not known:  # the mean is known only of equal ones
            middle = measure.written(own[0]) if len(set(own)) == 1 else "-"
        lines.append((measure.label, condition, middle, std, measure.written(min(own)), measure.written(max(own))))
    return Grid(
        title=f"Over {len(results)} seeds",
        columns=("measure", "condition", "mean", "std", "lowest", "highest"),
        lines=tuple(lines),
        num_labels=2,
    )
