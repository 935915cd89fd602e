"""Statistics over seeds: medians, quantiles, means with intervals, paired differences, missing seeds."""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

from annotated_types import Ge, Le

from withstand.errors import InputError, brief
from withstand.limits import DistinctNonEmpty, Within, checked
from withstand.study.measures.intervals import student
from withstand.study.runs import checked_axes

if TYPE_CHECKING:
    import polars

QUANTILES = (0.1, 0.5, 0.9)
Quantiles = Annotated[Sequence[Annotated[float, Within(Ge(0), Le(1))]], DistinctNonEmpty]


@checked
def aggregate(frame: "polars.DataFrame", *, quantiles: Quantiles = QUANTILES) -> "polars.DataFrame":
    """Return statistics over the seeds of every combination.

    Args:
        frame: As `read` returns it.
        quantiles: Between 0 and 1; interpolated linearly between the seeds.

    Returns:
        One row per combination, measure and condition, in the order of the frame: the axes, `measure`, `condition`,
        `qNN` per quantile in percent, `mean` (null for infinite values of both signs), `std`, `low` and `high` (95 %
        interval of the mean by Student's t; null for one seed or infinite values), `done` and `planned` (numbers of
        seeds), `missing` (seeds without a result, as text), `samples` (the smallest count), `sample_low` and
        `sample_high` (for a single run, the interval over its test samples), and `doubt` (why a value is not
        trustworthy, of the first such run; else empty). Several runs of one seed count as one, with the mean of their
        values. A combination without any result has one row with `planned` and `missing` only.

    Raises:
        InputError: If the frame is not as `read` returns it, or a quantile is not from 0 to 1.
    """
    import polars

    axes = checked_axes("aggregate", frame)
    value, there, seed = (polars.col(each) for each in ("value", "there", "seed"))
    planned = frame.group_by(axes, maintain_order=True).agg(planned=seed.n_unique(), seeds=seed.unique().sort())
    numbers = {f"q{100 * each:g}": _quantile(value, each) for each in quantiles}
    found = (
        _by_seed(frame, axes)
        .group_by([*axes, "measure", "condition"], maintain_order=True)
        .agg(
            **numbers,
            mean=value.mean().fill_nan(None),
            std=value.std().fill_nan(None),
            done=seed.n_unique(),
            there=seed.unique(),
            samples=polars.col("count").min(),
            **{f"sample_{each}": _alone(each) for each in ("low", "high")},
            doubt=_doubt(),
        )
    )
    found = planned.join(found, on=axes, how="left", nulls_equal=True, maintain_order="left_right")
    half, mean = _half_interval("std", "done", found["done"]), polars.col("mean")
    lost = polars.col("seeds").list.set_difference(there.fill_null([])).list.sort()
    return found.with_columns(
        **{"low": mean - half, "high": mean + half},
        done=polars.col("done").fill_null(0),
        missing=lost.cast(polars.List(polars.String)).list.join(", "),
    ).select(
        *(*axes, "measure", "condition", *numbers, "mean", "low", "high", "std"),
        *("done", "planned", "missing", "samples", "sample_low", "sample_high", "doubt"),
    )


@checked
def paired(frame: "polars.DataFrame", baseline: Mapping[str, Any]) -> "polars.DataFrame":
    """Return how much better or worse than a baseline every other combination is, seed by seed.

    Args:
        frame: As `read` returns it.
        baseline: Value of some axes, e.g. `{"method": "regular"}`. A run is compared with the one that has these
            values, and agrees in all other axes and in the seed, under the same measure and condition.

    Returns:
        A line per combination, measure and condition: the axes, `measure`, `condition`, `difference` (the mean over
        seeds), `low` and `high` (its 95 % interval by Student's t; null for one pair), `better` (the share of seeds in
        which the value is larger than the baseline's) and `pairs`, their number: several runs of one seed make one
        pair, of their means. Values that are infinite make no pair.

    Raises:
        InputError: If the frame is not as `read` returns it, or no run has the baseline's values.
    """
    import polars

    axes = checked_axes("paired", frame)
    for name in baseline:
        if name not in axes:
            known = ", ".join(axes) or "there are none"
            raise InputError(f"paired: baseline must name axes ({known}), got {brief(name)}.")
    is_baseline = polars.all_horizontal(*(polars.col(name).eq_missing(value) for name, value in baseline.items()))
    rows = _by_seed(frame, axes)
    own = rows.filter(is_baseline)
    if own.is_empty():
        shown = ", ".join(f"{name} {value}" for name, value in baseline.items())
        raise InputError(f"paired: no run has the baseline's values, {shown or 'none'}.")
    others = [name for name in axes if name not in baseline]
    keys = [*others, "seed", "measure", "condition"]
    both = rows.filter(~is_baseline).join(
        own.select(*keys, base=polars.col("value")), on=keys, how="inner", nulls_equal=True, maintain_order="left"
    )
    both = both.filter(polars.col("value").is_finite() & polars.col("base").is_finite())
    difference = polars.col("value") - polars.col("base")
    found = both.group_by([*axes, "measure", "condition"], maintain_order=True).agg(
        difference=difference.mean(), std=difference.std(), better=(difference > 0).mean(), pairs=polars.len()
    )
    half = _half_interval("std", "pairs", found["pairs"])
    return found.with_columns(low=polars.col("difference") - half, high=polars.col("difference") + half).select(
        *axes, "measure", "condition", "difference", "low", "high", "better", "pairs"
    )


def _by_seed(frame: "polars.DataFrame", axes: Sequence[str]) -> "polars.DataFrame":
    """Return one row per combination, seed, measure and condition: the mean over the runs that share the seed.

    It keeps the interval of a row that shares its seed with no other.
    """
    import polars

    rows = frame.filter(polars.col("measure").is_not_null())
    keys = [*axes, "seed", "measure", "condition"]
    if not rows.select(keys).is_duplicated().any():
        return rows.select(*keys, "value", "count", "low", "high", "doubt")
    alone = {name: _alone(name) for name in ("low", "high")}
    return rows.group_by(keys, maintain_order=True).agg(
        polars.col("value").mean(), polars.col("count").min(), **alone, doubt=_doubt()
    )


def _alone(column: str) -> "polars.Expr":
    """Return the value of a group with a single row; else null."""
    import polars

    return polars.when(polars.len() == 1).then(polars.col(column).first())


def _doubt() -> "polars.Expr":
    """Return the first doubt of a group; empty if it has none."""
    import polars

    doubt = polars.col("doubt")
    return doubt.filter(doubt != "").first().fill_null("")


def _quantile(value: "polars.Expr", share: float) -> "polars.Expr":
    """Return a quantile, interpolated between finite values; next to an infinite one it is the higher of the two."""
    linear = value.quantile(share, interpolation="linear")
    return linear.fill_nan(value.quantile(share, interpolation="higher"))


def _half_interval(std: str, number: str, numbers: "polars.Series") -> "polars.Expr":
    """Return half the width of the interval of a mean by Student's t; null for one value, or for an infinite one."""
    import polars

    factor = {each: student(each) / math.sqrt(each) for each in numbers.drop_nulls().unique() if each > 1}
    wide = polars.col(number).replace_strict(factor, default=None, return_dtype=polars.Float64)
    return polars.col(std).fill_nan(None) * wide
