"""Reductions: functions from the outcomes under a condition to a number with its interval, by name."""

import math
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from withstand.errors import TrainingError
from withstand.study.measures.intervals import (
    exact,
    normal,
    order_statistics,
    percentiles,
    resampled_means,
    share,
    wilson,
)
from withstand.study.measures.measure import BY_CLASS, NUMBER, Measure
from withstand.study.measures.row import Row

if TYPE_CHECKING:
    import numpy as np
    import polars

NUMERIC = re.compile(r"-?\d+(?:\.\d+)?")


class Reduced(NamedTuple):
    """A number with its interval; the fields are named as in a row."""

    value: float
    count: int  # pyright: ignore[reportIncompatibleMethodOverride]
    low: float | None = None
    high: float | None = None


def reduce_measure(
    measure: Measure,
    frame: "polars.DataFrame",
    *,
    condition: str,
    classes: Sequence[str] = (),
    numbers: Mapping[str, float] | None = None,
) -> list[tuple[Measure, Row]]:
    """Return what a measure makes of the outcomes under a condition, one row per class for `by_class`.

    Args:
        measure: What to compute.
        frame: A line per sample: the columns of the outcomes and, for measures by class, `label`.
        condition: Condition of the rows.
        classes: Names of the classes, by label.
        numbers: Numbers about the model as a whole, by column; `NAME low` and `NAME high` are the interval of NAME.

    Returns:
        Measures and rows; empty if there is no such column, or no value in it.

    Raises:
        TrainingError: If a value is not a number.
    """
    if measure.reduction == NUMBER:
        if measure.column not in (numbers or {}):
            return []
        assert numbers is not None
        count = max(1, len(frame)) if measure.parameters.get("samples") else 1
        ends = (numbers.get(f"{measure.column} {end}") for end in ("low", "high"))
        found = Reduced(float(numbers[measure.column]), count, *ends)
        return [_row(measure, condition, found)]
    if measure.column not in frame.columns:
        return []
    if measure.reduction != BY_CLASS:
        found = apply(measure, frame, condition=condition)
        return [] if found is None else [_row(measure, condition, found)]
    chosen = measure.parameters.get("class")
    parts = frame.partition_by("label", as_dict=True)
    rows = []
    for label, name in enumerate(told_apart(classes)):
        if (label,) not in parts or chosen not in (None, name):
            continue
        found = apply(replace(measure, reduction="mean", parameters={}), parts[label,], condition=condition)
        if found is not None:
            rows.append(_row(class_measure(measure, name), condition, found))
    return rows


def told_apart(classes: Sequence[str]) -> tuple[str, ...]:
    """Return names of classes, with the label behind those that several classes have.

    Example:
        >>> told_apart(["crane", "fox", "crane"])
        ('crane (0)', 'fox', 'crane (2)')
    """
    times = Counter(classes)
    return tuple(f"{name} ({label})" if times[name] > 1 else name for label, name in enumerate(classes))


def class_words(classes: Sequence[str]) -> tuple[str, ...]:
    """Return names of classes for sentences: told apart, and numbers in quotation marks.

    Example:
        >>> class_words(["7", "-1.5", "crane", "crane"])
        ('"7"', '"-1.5"', 'crane (2)', 'crane (3)')
    """
    return tuple(f'"{name}"' if NUMERIC.fullmatch(name) else name for name in told_apart(classes))


def class_measure(measure: Measure, name: str) -> Measure:
    """Return the measure of one class of a measure by class.

    Example:
        >>> recall = Measure(name="recall", column="correct", reduction="by_class")
        >>> class_measure(recall, "A").name, class_measure(recall, "A").words
        ('recall A', 'recall of A')
        >>> class_measure(recall, "7").words
        'recall of class "7"'
    """
    if "class" in measure.parameters:
        return measure
    words = f'{measure.words} of class "{name}"' if NUMERIC.fullmatch(name) else f"{measure.words} of {name}"
    return replace(
        measure, name=f"{measure.name} {name}", words=words, parameters={**measure.parameters, "class": name}
    )


def apply(measure: Measure, frame: "polars.DataFrame", *, condition: str = "") -> Reduced | None:
    """Return the number that a reduction makes of a frame that has the column; None without any value.

    Raises:
        TrainingError: If a value is not a number.
    """
    function = REDUCTIONS[measure.reduction]
    columns = [measure.column, *(each for each in measure.parameters.values() if each in frame.columns)]
    for column in dict.fromkeys(columns):
        if frame[column].dtype.is_float() and (wrong := int(frame[column].is_nan().sum())):
            raise TrainingError(f"outcomes: {column} under {condition} is not a number for {wrong:,} samples.")
    return function(frame, measure.column, **measure.parameters)


def _row(measure: Measure, condition: str, found: Reduced) -> tuple[Measure, Row]:
    if math.isnan(found.value):
        raise TrainingError(f"outcomes: {measure.name} under {condition} is not a number.")
    return measure, Row(measure=measure.name, condition=condition, budget=measure.budget, **found._asdict())


def _mean(frame: "polars.DataFrame", column: str, interval: str = "wilson") -> Reduced | None:
    """Return the mean: Wilson's or the exact interval for 0/1 outcomes, Wilson's for shares, else the normal one."""
    import polars

    values = frame[column].drop_nulls()
    count = len(values)
    if not count:
        return None
    if values.dtype == polars.Boolean:
        total = int(values.sum())
        ends = exact(total, count) if interval == "exact" else wilson(total / count, count)
        return Reduced(total / count, count, *ends)
    return _mean_of(values.cast(polars.Float64).to_numpy())


def _mean_of(values: "np.ndarray") -> Reduced:
    count, value = len(values), float(values.mean())
    if not math.isfinite(value):
        return Reduced(value, count)
    error = math.sqrt(float(values.var(ddof=1)) / count) if count > 1 else 0.0
    if values.min() >= 0 and values.max() <= 1:
        return Reduced(value, count, *share(value, error, count))
    if count == 1:
        return Reduced(value, count)
    low, high = normal(value, error)
    return Reduced(value, count, max(low, 0.0) if values.min() >= 0 else low, high)


def _quantile(frame: "polars.DataFrame", column: str, q: float) -> Reduced | None:
    """Return the value below which a share of the values lies, itself one of them; infinity is allowed."""
    import numpy as np

    values = np.sort(frame[column].drop_nulls().to_numpy())
    if not len(values):
        return None
    value = float(values[math.floor((len(values) - 1) * q)])
    places = order_statistics(len(values), q)
    return Reduced(value, len(values), *(float(values[each]) for each in places or ()))


def _median(frame: "polars.DataFrame", column: str) -> Reduced | None:
    """Return the median, the lower one of two."""
    return _quantile(frame, column, 0.5)


def _balanced(frame: "polars.DataFrame", column: str) -> Reduced | None:
    """Return the mean over the classes of each one's mean; classes without samples are left out."""
    import polars

    value = polars.col(column).cast(polars.Float64)
    by = (
        frame.filter(polars.col(column).is_not_null())
        .group_by("label")
        .agg(mean=value.mean(), variance=value.var(ddof=0), size=polars.len(), least=value.min(), most=value.max())
        .sort("label")
    )
    if not len(by):
        return None
    means, variances, sizes = (by[each].to_numpy() for each in ("mean", "variance", "size"))
    found, total = float(means.mean()), int(sizes.sum())
    # The variance of a single sample is not known; 1 leaves its variance out rather than dividing by 0.
    error = math.sqrt(float((variances / (sizes - 1).clip(1)).sum())) / len(by)
    if by["least"].min() < 0 or by["most"].max() > 1:  # type: ignore[operator]
        return Reduced(found, total, *normal(found, error))
    return Reduced(found, total, *share(found, error, len(by) ** 2 / float((1 / sizes).sum())))


def _calibration_error(
    frame: "polars.DataFrame", column: str, bins: int = 15, correct: str = "correct"
) -> Reduced | None:
    """Return the expected calibration error of a column of confidences, over bins of equal width.

    The interval is from a bootstrap over the samples. Few samples make the error too large, and resampling them does so
    once more: the lower end is the pivotal one, and 0 where so large an error is no surprise under perfect calibration;
    the upper end is the larger of the pivotal and the percentile one.

    Source:
        Naeini et al. 2015, AAAI; Guo et al. 2017, arXiv 1706.04599, equation 3.
    """
    import numpy as np
    import polars

    kept = frame.select(polars.col(column, correct).cast(polars.Float64)).drop_nulls().to_numpy()
    if not len(kept):
        return None
    confidence, right = kept.T
    place = np.clip(np.ceil(confidence * bins).astype(np.int64) - 1, 0, bins - 1)
    gaps = np.zeros((len(kept), bins))
    gaps[np.arange(len(kept)), place] = right - confidence
    mean = gaps.mean(0)
    value = float(np.abs(mean).sum())
    drawn = resampled_means(gaps)
    low, high = percentiles(np.abs(drawn).sum(1))
    _, by_chance = percentiles(np.abs(drawn - mean).sum(1))
    start = 0.0 if value <= by_chance else max(0.0, min(value, 2 * value - high))
    return Reduced(value, len(kept), start, max(high, 2 * value - low))


def _share_at_least(frame: "polars.DataFrame", column: str, threshold: float) -> Reduced | None:
    """Return the share of values that are no smaller than a threshold."""
    values = frame[column].drop_nulls()
    if not len(values):
        return None
    value = int((values >= threshold).sum()) / len(values)
    return Reduced(value, len(values), *wilson(value, len(values)))


def _area(frame: "polars.DataFrame", column: str, limit: float) -> Reduced | None:
    """Return the area under the curve of the share of values above x, for x from 0 to a limit, over the limit."""
    import polars

    values = frame[column].drop_nulls().cast(polars.Float64).to_numpy()
    return _mean_of(values.clip(0, limit) / limit) if len(values) else None


REDUCTIONS: dict[str, Callable[..., Reduced | None]] = {
    "mean": _mean,
    "median": _median,
    "quantile": _quantile,
    "balanced": _balanced,
    "calibration_error": _calibration_error,
    "share_at_least": _share_at_least,
    "area": _area,
}
