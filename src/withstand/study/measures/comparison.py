"""Paired comparison of two models on the same samples."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from withstand.errors import InputError
from withstand.study.measures.intervals import percentiles, resampled_means

if TYPE_CHECKING:
    import numpy as np
    import polars

REPLICATES = 2000


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """How one model differs from another, the baseline, on the same samples.

    Attributes:
        difference: Mean of the column minus that of the baseline.
        low: Lower end of its 95 % interval, from a bootstrap of the samples.
        high: Upper end of it.
        p: P-value of McNemar's exact test of the hypothesis that both models are correct equally often; None if
            outcomes are not 0 or 1.
        only_model: Number of samples that only the model gets right; for outcomes other than 0 and 1, of samples with a
            larger value.
        only_baseline: Number of samples that only the baseline gets right.
        count: Number of samples.

    Source:
        McNemar 1947, Psychometrika 12, 153; the exact test is a two-sided binomial test on the samples whose outcomes
        differ.
    """

    difference: float
    low: float
    high: float
    p: float | None
    only_model: int
    only_baseline: int
    count: int


def compare(model: "polars.DataFrame", baseline: "polars.DataFrame", *, column: str = "correct") -> Comparison:
    """Compare two models under one condition.

    Args:
        model: A line per sample: number, identifier, label and the column, as `OutcomeTable.frame` returns it.
        baseline: The same of the other model.
        column: Truth values, or numbers such as shares of draws.

    Raises:
        InputError: If the samples are not the same, or there are none.

    Example:
        >>> import polars
        >>> about = {"number": range(6), "identifier": None, "label": 0}
        >>> good = polars.DataFrame(about | {"correct": [True, True, True, True, True, False]})
        >>> bad = polars.DataFrame(about | {"correct": [True, False, False, False, False, True]})
        >>> found = compare(good, bad)
        >>> round(found.difference, 3), found.p, found.only_model, found.only_baseline
        (0.5, 0.375, 4, 1)
    """
    import numpy as np
    import polars

    ours, theirs = (_values(frame, column) for frame in (model, baseline))
    _check_same(model, baseline)
    gain = ours - theirs
    only_model, only_baseline = int((gain > 0).sum()), int((gain < 0).sum())
    count, p = len(gain), None
    if model[column].dtype == baseline[column].dtype == polars.Boolean:
        from scipy.special import bdtr

        differing = only_model + only_baseline
        p = min(1.0, 2 * float(bdtr(min(only_model, only_baseline), differing, 0.5))) if differing else 1.0
        # Resampling the samples draws their three kinds from a multinomial distribution.
        kinds = np.array([only_model, only_baseline, count - differing]) / count
        drawn = np.random.default_rng(0).multinomial(count, kinds, size=REPLICATES)
        means = (drawn[:, 0] - drawn[:, 1]) / count
    else:
        means = resampled_means(gain[:, None], REPLICATES)[:, 0]
    low, high = percentiles(means)
    return Comparison(
        difference=float(gain.mean()),
        low=low,
        high=high,
        p=p,
        only_model=only_model,
        only_baseline=only_baseline,
        count=count,
    )


def _values(frame: "polars.DataFrame", column: str) -> "np.ndarray":
    import polars

    if column not in frame.columns:
        raise InputError(f"compare: expected outcomes with the column {column}, got {', '.join(frame.columns)}.")
    values = frame.sort("number")[column].cast(polars.Float64)
    if not len(values) or values.has_nulls() or not values.is_finite().all():
        raise InputError(f"compare: expected finite values of {column} of at least one sample, got others.")
    return values.to_numpy()


def _check_same(model: "polars.DataFrame", baseline: "polars.DataFrame") -> None:
    """Refuse samples that are not the same."""
    if len(model) != len(baseline):
        raise InputError(f"compare: expected the same samples, got {len(model):,} and {len(baseline):,}.")
    ours, theirs = model.sort("number"), baseline.sort("number")
    for name in ("number", "identifier", "label"):
        if (ours[name].is_null() & theirs[name].is_null()).all():
            continue
        differ = ours[name].ne_missing(theirs[name])
        if differ.any():
            place = int(differ.arg_true()[0])
            raise InputError(
                f"compare: expected the same samples, got other ones: {name} {ours[name][place]} and "
                f"{theirs[name][place]} in line {place + 1}."
            )
