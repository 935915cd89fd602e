"""Scores: the accuracy of every combination under every group of conditions, and differences, with 95 % intervals."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from withstand.reports.evidence import Evidence, evidence_of
from withstand.reports.groups import Group, groups_of
from withstand.study.combination import INDEX
from withstand.study.digest import LEAST_PAIRS, Digest
from withstand.study.measures.intervals import normal, share, student, wilson


class Score(NamedTuple):
    """A number and how sure it is.

    Attributes:
        value: A fraction, or a difference of two; the mean over the seeds.
        low: Lower end of its 95 % interval; None if it is unknown.
        high: Upper end of it.
        seeds: Number of seeds.
        samples: Number of samples that the interval is over; 0 if it is over the seeds, or there is none.
    """

    value: float
    low: float | None
    high: float | None
    seeds: int
    samples: int

    @property
    def is_sure(self) -> bool:
        """Whether the interval of a difference leaves 0 out; of a few seeds it says too little."""
        if self.low is None or self.high is None or (not self.samples and self.seeds < LEAST_PAIRS):
            return False
        return self.low > 0 or self.high < 0


@dataclass(frozen=True, kw_only=True, eq=False)
class Scores:
    """The accuracy of every combination under every group of conditions.

    Intervals are over the seeds, by Student's t; of a single run, over its samples.

    Attributes:
        digest: The numbers.
        groups: Groups of conditions.
        evidence: By index of the combination.
    """

    digest: Digest
    groups: tuple[Group, ...]
    evidence: Mapping[int, Evidence]

    @classmethod
    def gather(cls, digest: Digest) -> "Scores":
        """Read the evidence of a study.

        Raises:
            InputError: If a table of outcomes or a file of pictures is damaged.
        """
        groups = groups_of(digest)
        return cls(digest=digest, groups=groups, evidence=evidence_of(digest, groups))

    def has(self, index: int, group: Group) -> bool:
        """Return whether a combination was measured under all of a group."""
        return bool(self._by_seed(index, group))

    def of(self, index: int, group: Group) -> Score | None:
        """Return the accuracy of a combination under a group; None if it was not measured under all of it."""
        values = self._by_seed(index, group)
        if len(values) != 1:
            return _over_seeds(list(values.values()))
        (value,) = values.values()
        shares = self._shares(index, group)
        if shares is not None and self.evidence[index].trial.seed in values:
            count = len(shares)
            error = float(shares.std()) / math.sqrt(max(1, count - 1))
            return Score(value, *share(min(1.0, max(0.0, value)), error, count), 1, count)
        line = self.digest.lines.get((index, group.measure.name, group.conditions[0]))
        if len(group.conditions) > 1 or line is None:
            return Score(value, None, None, 1, 0)
        return Score(value, line["sample_low"], line["sample_high"], 1, line["samples"] or 0)

    def doubt(self, index: int, group: Group) -> str:
        """Return why the accuracy of a combination under a group is not trustworthy; empty if nothing is known.

        Attacks of other evaluations than `WorstCase`, such as PGD, search less and share all doubts about it.
        """
        is_weaker = group.kind == "attack" and group.measure.kind != "attacked"
        found = [
            line["doubt"]
            for (owner, measure, condition), line in self.digest.lines.items()
            if owner == index and (is_weaker or (measure == group.measure.name and condition in group.conditions))
        ]
        return next(filter(None, found), "")

    def difference(self, one: tuple[int, Group], other: tuple[int, Group]) -> Score | None:
        """Return the accuracy of one combination and group less another's, by seed, or for two runs by sample.

        None if nothing is paired, unless each of the two has a single run.
        """
        ours, theirs = self._by_seed(*one), self._by_seed(*other)
        both = [ours[seed] - theirs[seed] for seed in ours if seed in theirs]
        if len(both) > 1:
            return _over_seeds(both)
        if not (ours and theirs):
            return None
        if not both and max(len(ours), len(theirs)) > 1:
            return None
        value = both[0] if both else float(np.mean([*ours.values()])) - float(np.mean([*theirs.values()]))
        gains = self._gains(one, other) if len(ours) == len(theirs) == 1 else None
        if gains is None:
            return Score(value, None, None, len(both), 0)
        low, high = normal(value, float(gains.std()) / math.sqrt(max(1, len(gains) - 1)))
        return Score(value, low, high, 1, len(gains))

    def classes(self, index: int, group: Group, clean: Group) -> list[tuple[str, float, float, int]]:
        """Return the classes that lose accuracy, most first: name, accuracy before and after, and number of samples."""
        evidence = self.evidence.get(index)
        if evidence is None or not {group.name, clean.name} <= evidence.shares.keys():
            return []
        before, after = evidence.shares[clean.name], evidence.shares[group.name]
        found = []
        for label, name in enumerate(evidence.classes):
            own = (evidence.labels == label) & np.isfinite(before) & np.isfinite(after)
            if own.any() and after[own].mean() < before[own].mean():
                found.append((name, float(before[own].mean()), float(after[own].mean()), int(own.sum())))
        return sorted(found, key=lambda each: each[2] - each[1])

    def weak_classes(self, index: int, clean: Group) -> list[tuple[str, float, int]]:
        """Return the classes whose 95 % interval lies below half of the accuracy: name, accuracy and number of samples.

        The weakest first.
        """
        evidence, overall = self.evidence.get(index), self.of(index, clean)
        if evidence is None or overall is None or clean.name not in evidence.shares:
            return []
        right, found = evidence.shares[clean.name], []
        for label, name in enumerate(evidence.classes):
            own = right[(evidence.labels == label) & np.isfinite(right)]
            if len(own) and wilson(float(own.mean()), len(own))[1] < overall.value / 2:
                found.append((name, float(own.mean()), len(own)))
        return sorted(found, key=lambda each: each[1])

    def _shares(self, index: int, group: Group) -> np.ndarray | None:
        """Return the values of the samples of a combination's only run."""
        evidence = self.evidence.get(index)
        if evidence is None or group.name not in evidence.shares:
            return None
        shares = evidence.shares[group.name]
        return shares[np.isfinite(shares)]

    def _gains(self, one: tuple[int, Group], other: tuple[int, Group]) -> np.ndarray | None:
        """Return differences by sample; None if the samples differ or are unknown."""
        ours, theirs = (self.evidence.get(each[0]) for each in (one, other))
        if ours is None or theirs is None or ours.question != theirs.question:
            return None
        if one[1].name not in ours.shares or other[1].name not in theirs.shares:
            return None
        if not np.array_equal(ours.labels, theirs.labels):
            return None
        gains = ours.shares[one[1].name] - theirs.shares[other[1].name]
        return gains[np.isfinite(gains)]

    def _by_seed(self, index: int, group: Group) -> dict[int, float]:
        """Return the accuracy by seed, of the seeds that have every condition of a group."""
        found = [self._values.get((index, group.measure.name, each), {}) for each in group.conditions]
        seeds = set(found[0]).intersection(*found[1:])
        return {seed: sum(each[seed] for each in found) / len(found) for seed in sorted(seeds)}

    @cached_property
    def _values(self) -> dict[tuple[int, str, str], dict[int, float]]:
        """Value by combination, measure and condition, and by seed: the mean over the runs that share it."""
        import polars

        names = {each.measure.name for each in self.groups}
        conditions = {condition for each in self.groups for condition in each.conditions}
        frame = self.digest.frame
        own = frame.filter(frame["measure"].is_in(names) & frame["condition"].is_in(conditions))
        keys = [INDEX, "measure", "condition"]
        found: dict[tuple[int, str, str], dict[int, float]] = {}
        for *key, seed, value in own.group_by([*keys, "seed"]).agg(polars.col("value").mean()).iter_rows():
            found.setdefault((key[0], key[1], key[2]), {})[seed] = value
        return found


def _over_seeds(values: list[float]) -> Score | None:
    """Return the mean of several values and its interval by Student's t; None without a finite one."""
    if not values or not np.isfinite(values).all():
        return None
    mean, count = float(np.mean(values)), len(values)
    half = student(count) * float(np.std(values, ddof=1)) / math.sqrt(count)
    return Score(mean, mean - half, mean + half, count, 0)
