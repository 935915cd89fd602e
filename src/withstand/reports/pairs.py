"""Differences of two single runs on the same samples, with intervals."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import cache, cached_property
from math import sqrt
from typing import NamedTuple

from withstand.reports.scores import Scores
from withstand.study.digest import LEAST_PAIRS, Digest
from withstand.study.measures.comparison import compare
from withstand.study.measures.intervals import normal
from withstand.study.measures.outcomes import OutcomeTable
from withstand.study.primary import Column


class Gap(NamedTuple):
    """The interval of a difference of two runs, paired over samples.

    Attributes:
        low: Lower end of the 95 % interval.
        high: Upper end of it.
        samples: Number of samples.
        p: P-value of McNemar's test; None if outcomes are not 0 or 1.
    """

    low: float
    high: float
    samples: int
    p: float | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class SamplePairs:
    """Differences to the baseline of combinations that share one seed with it.

    Attributes:
        digest: The numbers.
        scores: Accuracies by group of conditions.
    """

    digest: Digest
    scores: Scores

    def of(self, index: int, column: Column) -> Gap | None:
        """Return the interval of a combination's difference in a column.

        None with several pairs of runs, without outcomes of the same samples, or if the measure is no mean.
        """
        pair, base = self.digest.pair(index, column), self.digest.baseline_of(self.digest.combinations[index])
        measure, condition = self.digest.measure(column), self.digest.condition(index, column)
        if pair is None or pair["pairs"] != 1 or base is None or condition is None or measure.reduction != "mean":
            return None
        mean = next((each for each in self.scores.groups if each.kind == "mean" and each.name == condition), None)
        found = self.scores.difference((index, mean), (base, mean)) if mean and mean.measure == measure else None
        if found is not None and found.low is not None and found.high is not None:
            return Gap(found.low, found.high, found.samples)
        ours, theirs = self._tables(index, base)
        if ours is None or theirs is None:
            return None
        try:
            own = compare(ours.frame(condition), theirs.frame(condition), column=measure.column)
        except ValueError:  # other samples, or no such outcomes
            return None
        if own.p is None:
            return Gap(own.low, own.high, own.count)
        # As between groups of conditions: by the normal approximation, here from the numbers of samples that differ.
        variance = (own.only_model + own.only_baseline) / own.count - own.difference**2
        return Gap(*normal(own.difference, sqrt(variance / max(1, own.count - 1))), own.count, own.p)

    def _tables(self, index: int, base: int) -> tuple[OutcomeTable | None, OutcomeTable | None]:
        """Return the outcomes of the two runs that share a seed; None if several runs do, or they were not kept."""
        ours, theirs = (
            [trial for trial in self.digest.combinations[each].trials if trial.status == "done"]
            for each in (index, base)
        )
        shared = [(one.run, other.run) for one in ours for other in theirs if one.seed == other.seed]
        if len(shared) != 1:
            return None, None
        first, second = map(self._table_of, shared[0])
        return first, second

    @cached_property
    def _table_of(self) -> Callable[[str], OutcomeTable | None]:
        """Returns the outcomes of a run, which are read once."""
        return cache(self.digest.study.table_of)


def about_intervals(pairs: Collection[int], sampled: Collection[bool]) -> tuple[str, list[str]]:
    """Return what the intervals of differences are, as part of a sentence and as notes.

    Args:
        pairs: Numbers of pairs of seeds in a table.
        sampled: Whether there is an interval over samples, for every difference of one pair.

    Example:
        >>> about_intervals({4}, [])[0]
        "seed by seed: mean and its 95 % interval over the seeds (Student's t)"
        >>> about_intervals({1}, [True])[0]
        'one training run each: 95 % interval over the test samples, paired'
    """
    over_samples = "95 % interval over the test samples, paired" if any(sampled) else "without an interval"
    notes = []
    if max(pairs, default=1) > 1:
        about = "seed by seed: mean and its 95 % interval over the seeds (Student's t)"
        about += f"; of a single pair of runs {over_samples}" if sampled else ""
        seeds = f"at least {LEAST_PAIRS} seeds" + (", or one run each on the same samples," if any(sampled) else "")
        notes.append(f"Bold (or *): {seeds} and an interval that excludes 0.")
    else:
        about = f"one training run each{': ' if any(sampled) else ', '}{over_samples}"
        notes += ["Bold (or *): an interval that excludes 0."] if any(sampled) else []
    if any(sampled):
        notes.append("Intervals over samples say nothing about other training seeds.")
    return about, [*notes, "Intervals are not corrected for multiple comparisons."]
