"""Many seeds in a few numbers: medians, quantiles, means with intervals, paired differences; and who is missing."""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from withstand.errors import InputError
from withstand.study.runs import axes_of

if TYPE_CHECKING:
    import polars

QUANTILES = (0.1, 0.5, 0.9)
CONFIDENCE = 0.95


def aggregate(frame: "polars.DataFrame", *, quantiles: Sequence[float] = QUANTILES) -> "polars.DataFrame":
    """Return what the seeds of every combination of values have in common.

    Args:
        frame: As `read` returns it.
        quantiles: Between 0 and 1; interpolated linearly between the seeds.

    Returns:
        A line per combination, measure and condition: the axes, `measure`, `condition`, a column `qNN` per quantile in
        percent, `mean`, `low` and `high` (a 95 % interval of the mean over seeds by Student's t, equal to the mean
        where there is one seed only), `std`, `done` and `planned` (numbers of seeds), `missing` (the seeds without a
        result, as text) and `samples` (the least count of a row). Several runs of one seed count as one, with the mean
        of their values. A combination without any result has a line with nothing but its counts. The order is that of
        the frame.
    """
    import polars

    axes = axes_of(frame)
    planned = frame.group_by(axes, maintain_order=True).agg(
        planned=polars.col("seed").n_unique(), seeds=polars.col("seed").unique().sort()
    )
    value = polars.col("value")
    numbers = {f"q{100 * each:g}": value.quantile(each, interpolation="linear") for each in quantiles}
    found = (
        _by_seed(frame, axes)
        .group_by([*axes, "measure", "condition"], maintain_order=True)
        .agg(
            **numbers,
            mean=value.mean(),
            std=value.std(),
            done=polars.col("seed").n_unique(),
            there=polars.col("seed").unique(),
            samples=polars.col("count").min(),
        )
    )
    found = planned.join(found, on=axes, how="left", nulls_equal=True, maintain_order="left_right")
    factor = {number: _student(number) / math.sqrt(number) for number in found["done"].drop_nulls().unique()}
    half = polars.col("std").fill_null(0.0) * polars.col("done").replace_strict(factor, default=None)
    lost = polars.col("seeds").list.set_difference(polars.col("there")).list.sort()
    everyone = polars.when(polars.col("there").is_null()).then(polars.col("seeds")).otherwise(lost)
    return found.with_columns(
        low=polars.col("mean") - half,
        high=polars.col("mean") + half,
        done=polars.col("done").fill_null(0),
        missing=everyone.cast(polars.List(polars.String)).list.join(", "),
    ).select(
        *axes, "measure", "condition", *numbers, "mean", "low", "high", "std", "done", "planned", "missing", "samples"
    )


def paired(frame: "polars.DataFrame", baseline: Mapping[str, Any]) -> "polars.DataFrame":
    """Return how much better or worse than a baseline every other combination is, seed by seed.

    Args:
        frame: As `read` returns it.
        baseline: Value of some axes, e.g. `{"method": "regular"}`. A run is compared with the one that has these
            values, and agrees in all other axes and in the seed, under the same measure and condition.

    Returns:
        A line per combination, measure and condition: the axes, `measure`, `condition`, `difference` (the mean over
        seeds), `low` and `high` (its 95 % interval by Student's t), `better` (the share of seeds in which the value is
        larger than the baseline's) and `pairs`, their number: several runs of one seed make one pair, of their means.

    Raises:
        InputError: If no run has the baseline's values.
    """
    import polars

    axes = axes_of(frame)
    for name in baseline:
        if name not in axes:
            raise InputError(f"results: the baseline's axis {name} is not one of {', '.join(axes)}.")
    is_baseline = polars.all_horizontal(*(polars.col(name).eq_missing(value) for name, value in baseline.items()))
    rows = _by_seed(frame, axes)
    own = rows.filter(is_baseline)
    if own.is_empty():
        shown = ", ".join(f"{name} {value}" for name, value in baseline.items())
        raise InputError(f"results: no run has the baseline's values, {shown}.")
    others = [name for name in axes if name not in baseline]
    keys = [*others, "seed", "measure", "condition"]
    both = rows.filter(~is_baseline).join(
        own.select(*keys, base=polars.col("value")), on=keys, how="inner", nulls_equal=True, maintain_order="left"
    )
    difference = polars.col("value") - polars.col("base")
    found = both.group_by([*axes, "measure", "condition"], maintain_order=True).agg(
        difference=difference.mean(), std=difference.std(), better=(difference > 0).mean(), pairs=polars.len()
    )
    factor = {number: _student(number) / math.sqrt(number) for number in found["pairs"].unique()}
    half = polars.col("std").fill_null(0.0) * polars.col("pairs").replace_strict(factor, default=None)
    return found.with_columns(low=polars.col("difference") - half, high=polars.col("difference") + half).select(
        *axes, "measure", "condition", "difference", "low", "high", "better", "pairs"
    )


def _by_seed(frame: "polars.DataFrame", axes: Sequence[str]) -> "polars.DataFrame":
    """Return one row per combination, seed, measure and condition: the mean over the runs that share the seed."""
    import polars

    rows = frame.filter(polars.col("measure").is_not_null())
    keys = [*axes, "seed", "measure", "condition"]
    return rows.group_by(keys, maintain_order=True).agg(polars.col("value").mean(), polars.col("count").min())


def _student(number: int) -> float:
    """Return the quantile of Student's t that a two-sided interval takes for so many values; 0 for one."""
    # What `scipy.stats.t.ppf` calls; its own module takes much longer to import.
    from scipy.special import stdtrit

    return 0.0 if number < 2 else float(stdtrit(number - 1, (1 + CONFIDENCE) / 2))
