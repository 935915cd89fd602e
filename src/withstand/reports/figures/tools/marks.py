"""Marks: the points of a figure with their texts, and sentences about missing runs and doubts."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import TYPE_CHECKING, Any

from withstand.rendering.cell import DOUBT
from withstand.reports.numbers import number, with_unit
from withstand.study.measures.measure import Measure
from withstand.study.study import Study, name_of

if TYPE_CHECKING:
    import polars

MOST_SENTENCES, MOST_SEEDS = 8, 6  # that are listed


@dataclass(frozen=True, kw_only=True)
class Mark:
    """A combination under one measure and condition.

    Attributes:
        gid: Its name in the figure.
        label: Readable name of the combination.
        x: Place on the numeric axis; 0 if there is none.
        low: 10 % quantile over the seeds; None if there is no result.
        middle: Median.
        high: 90 % quantile.
        done: Number of seeds with a result.
        planned: Number of seeds there should be.
        text: Its description.
    """

    gid: str
    label: str
    x: float
    low: float | None
    middle: float | None
    high: float | None
    done: int
    planned: int
    text: str

    @property
    def span(self) -> tuple[float, ...]:
        """The three quantiles; empty if there is no result."""
        if self.low is None or self.middle is None or self.high is None:
            return ()
        return self.low, self.middle, self.high

    @property
    def is_whole(self) -> bool:
        """Whether no seed is missing."""
        return self.done >= self.planned

    @property
    def share(self) -> str:
        """How many of the seeds are there."""
        return f"{self.done}/{self.planned}"


def mark_of(line: Mapping[str, Any], measure: Measure, *, gid: str, label: str, x: float = 0.0) -> Mark:
    """Return the mark of a line of a summary; one without a finite value is kept as a mark without a place."""
    there = line["q50"] is not None and all(isfinite(line[each]) for each in ("q10", "q50", "q90"))
    return Mark(
        gid=gid,
        label=label,
        x=x,
        low=line["q10"] if there else None,
        middle=line["q50"] if there else None,
        high=line["q90"] if there else None,
        done=line["done"] if line["q50"] is not None else 0,
        planned=line["planned"],
        text=f"{label}: {summed_up(line, measure)}",
    )


def signs(marks: Iterable[Mark]) -> str:
    """Return sentences about the signs for what is missing that a figure has, each after a space."""
    known = list(marks)
    hollow = " Hollow: seeds missing." if any(0 < each.done < each.planned for each in known) else ""
    crosses = " Cross: no result." if any(not each.done for each in known) else ""
    infinite = " Cross with seeds: infinite." if any(each.done and not each.span for each in known) else ""
    return hollow + crosses + infinite


def longest(series: Iterable[Sequence[Mark]]) -> int:
    """Return how many places of the axis have a result, of the series with the most."""
    return max((len({each.x for each in own if each.done}) for own in series), default=0)


def summed_up(line: Mapping[str, Any], measure: Measure) -> str:
    """Return a line of a summary as text.

    Example:
        >>> line = {"q10": 0.738, "q50": 0.742, "q90": 0.749, "done": 3, "planned": 5, "missing": "1, 4"}
        >>> summed_up(line, Measure(name="top1", column="correct", percent=True))
        '74.2 % (10-90 %: 73.8-74.9, 3/5 seeds, missing 1, 4)'
    """
    if line["q50"] is None:
        return f"no result (0/{line['planned']} seeds)"
    seeds = f"{line['done']}/{line['planned']} seeds" if line["planned"] > 1 else "1 run"
    lost = f", missing {seeds_of(line)}" if line["missing"] else ""
    spread = ""
    if line["done"] > 1:
        spread = f"10-90 %: {number(measure, line['q10'])}-{number(measure, line['q90'])}, "
    elif line.get("sample_low") is not None:
        low, high = (number(measure, line[each]) for each in ("sample_low", "sample_high"))
        spread = f"95 % interval over the samples: {low}-{high}, "
    doubt = ", not trustworthy" if line.get("doubt") else ""
    return f"{with_unit(measure, line['q50'])}{DOUBT * bool(doubt)} ({spread}{seeds}{lost}{doubt})"


def seeds_of(line: Mapping[str, Any]) -> str:
    """Return the seeds that a line lacks; many as ranges.

    Example:
        >>> seeds_of({"missing": "0, 3"}), seeds_of({"missing": "0, 1, 2, 3, 4, 5, 6, 9, 11"})
        ('0, 3', '0-6, 9, 11')
    """
    seeds = [int(each) for each in line["missing"].split(", ")]
    if len(seeds) <= MOST_SEEDS:
        return line["missing"]
    ranges: list[list[int]] = []
    for seed in seeds:
        if ranges and seed == ranges[-1][-1] + 1:
            ranges[-1] = [ranges[-1][0], seed]
        else:
            ranges.append([seed])
    return ", ".join("-".join(map(str, each)) for each in ranges)


def combinations(study: Study) -> dict[tuple[Any, ...], dict[str, Any]]:
    """Return every combination of a study, with an empty line of a summary for those without a result."""
    found = {}
    for *labels, seed in study.frame.select(*study.axes, "seed").unique(maintain_order=True).iter_rows():
        found.setdefault(tuple(labels), []).append(seed)
    return {
        labels: dict(zip(study.axes, labels, strict=True))
        | {"q10": None, "q50": None, "q90": None, "done": 0, "planned": len(seeds), "samples": None}
        | {"missing": ", ".join(str(each) for each in sorted(seeds))}
        for labels, seeds in found.items()
    }


def lines_of(study: Study, summary: "polars.DataFrame") -> dict[tuple[Any, ...], dict[str, Any]]:
    """Return a summary's lines of one measure and condition by combination; every combination has one."""
    found = combinations(study)
    for line in summary.iter_rows(named=True):
        if line["q50"] is not None:
            found[tuple(line[axis] for axis in study.axes)] = line
    return found


def cautions(study: Study, lines: Iterable[Mapping[str, Any]]) -> str:
    """Return sentences that name every combination whose lines lack seeds, or have doubts, each after a space.

    Args:
        study: Says which runs failed.
        lines: Lines of the figure, with the axes, `done`, `planned` and `missing`.
    """
    worst: dict[tuple[Any, ...], Mapping[str, Any]] = {}
    doubtful: dict[str, None] = {}
    for line in lines:
        labels = tuple(line[axis] for axis in study.axes)
        doubtful |= {name_of(dict(zip(study.axes, labels, strict=True))): None} if line.get("doubt") else {}
        if line["done"] < line["planned"] and (labels not in worst or line["done"] < worst[labels]["done"]):
            worst[labels] = line
    ended, problems = _ended(study)
    parts, unmeasured = [], []
    for labels, line in worst.items():
        name = name_of(dict(zip(study.axes, labels, strict=True)))
        if line["done"] == 0 and ended.get(labels, 0):
            unmeasured.append(name)
            continue
        why = f" ({problems[labels].rstrip('.')})" if labels in problems else ""
        parts.append(f"{name}: {line['done']}/{line['planned']} seeds, missing {seeds_of(line)}{why}")
    found = f" Missing: {_first_of(parts)}." if parts else ""
    found += f" Not measured: {_first_of(unmeasured)}." if unmeasured else ""
    return found + (f" Not trustworthy{DOUBT}, see the warning: {_first_of([*doubtful])}." if doubtful else "")


def counted(lines: Sequence[Mapping[str, Any]], *, samples: bool = True) -> str:
    """Return how many seeds and samples the lines of a figure represent.

    Example:
        >>> counted([{"planned": 5, "samples": 2087}, {"planned": 5, "samples": 2087}])
        'n = 2,087 samples, 5 seeds'
    """
    numbers = sorted({each["samples"] for each in lines if each["samples"] is not None})
    seeds = sorted({each["planned"] for each in lines})
    runs = f"{_span(seeds)} seeds" if seeds[-1] > 1 else "one run each"
    # What is said of a model as a whole counts as one.
    return f"n = {_span(numbers)} samples, {runs}" if samples and numbers and numbers[-1] > 1 else runs


def _ended(study: Study) -> tuple[dict[tuple[Any, ...], int], dict[tuple[Any, ...], str]]:
    """Return, by combination, how many runs are done, and why one of them failed."""
    ended: dict[tuple[Any, ...], int] = {}
    problems: dict[tuple[Any, ...], str] = {}
    for *labels, _, status, problem in (
        study.frame.select(*study.axes, "run", "status", "problem").unique(maintain_order=True).iter_rows()
    ):
        key = tuple(labels)
        ended[key] = ended.get(key, 0) + (status == "done")
        if problem:
            problems.setdefault(key, f"{status}: {problem}")
    return ended, problems


def _first_of(parts: Sequence[str]) -> str:
    more = len(parts) - MOST_SENTENCES
    shown = [*parts[:MOST_SENTENCES], *([f"and {more} further combinations"] if more > 0 else [])]
    return "; ".join(shown)


def _span(numbers: Sequence[int]) -> str:
    return f"{numbers[0]:,}" if numbers[0] == numbers[-1] else f"{numbers[0]:,} to {numbers[-1]:,}"
