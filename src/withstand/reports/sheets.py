"""The tables of a report: the main one, one per topic, differences to a baseline, and all numbers."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from withstand.conditions import CORRUPTIONS, IMAGENET_C, JPEG, in_words, parse_corruption
from withstand.rendering.cell import DOUBT_NOTE, Cell
from withstand.rendering.grid import Grid
from withstand.reports.all_sheet import NOT_MEASURED, all_sheet
from withstand.reports.column_heads import directed, heads_of
from withstand.reports.numbers import number, sentence, slug, titled
from withstand.reports.pairs import SamplePairs, about_intervals
from withstand.reports.series import norm_notes
from withstand.reports.unseen import with_unseen
from withstand.study.axes import words_of
from withstand.study.combination import Combination
from withstand.study.digest import LEAST_PAIRS, Digest
from withstand.study.measures.measure import Measure
from withstand.study.primary import Column, headlines

Spread = Literal["quantiles", "interval"]
SPREADS = {
    "quantiles": "Median over the seeds, and the range from the 10 % to the 90 % quantile",
    "interval": "Mean over the seeds, and its 95 % interval (Student's t)",
}
KINDS = {"attacked": "upper bound from attacks", "certified": "certified", "estimated": "an estimate"}
MOST_OF_A_TOPIC = 40  # columns
TAKEN = ("main", "differences", "all", "samples")  # names of other tables


@dataclass(frozen=True, kw_only=True)
class Sheets:
    """The tables of a report.

    Attributes:
        main: A line per combination, the most wanted measures across.
        topics: One per topic that the main table does not show in full.
        differences: Differences to the baseline; None if nothing is compared.
        every: All numbers, up to a limit.
    """

    main: Grid
    topics: tuple[Grid, ...]
    differences: Grid | None
    every: Grid

    @classmethod
    def of(cls, digest: Digest, *, spread: Spread = "quantiles", pairs: SamplePairs | None = None) -> "Sheets":
        """Make the tables.

        Args:
            digest: The numbers.
            spread: What tables show besides the middle.
            pairs: Intervals of the differences of single runs; None leaves these without.
        """
        return cls(
            main=with_unseen(main_sheet(digest, spread=spread), digest),
            topics=tuple(topic_sheets(digest, spread=spread)),
            differences=differences_sheet(digest, pairs=pairs) if digest.is_compared else None,
            every=all_sheet(digest),
        )

    @property
    def in_order(self) -> tuple[Grid, ...]:
        """The tables in the order of the page, without the table of all numbers."""
        return (self.main, *self.topics, *((self.differences,) if self.differences else ()))


def main_sheet(digest: Digest, *, spread: Spread = "quantiles") -> Grid:
    """Return the table with a line per combination and the most wanted measures across."""
    notes = [*_samples(digest), *([digest.baseline_choice] if digest.is_compared else [])]
    if any(each.condition is None for each in digest.columns):
        notes.append("Own ball: each combination is measured under its own condition; see All numbers.")
    notes += _more(len({(measure, condition) for _, measure, condition in digest.lines}) - len(digest.columns))
    notes += _obtained(digest.measure(each) for each in digest.columns)
    notes += norm_notes(text for each in digest.columns for text in (each.condition or "", digest.measure(each).unit))
    notes += [*digest.notes, *digest.holes]
    heads = heads_of(digest.columns, [titled(digest.measure(each)) for each in digest.columns])
    return _combinations_down(digest, "main", "Results", digest.columns, heads, spread, notes)


def topic_sheets(digest: Digest, *, spread: Spread = "quantiles") -> list[Grid]:
    """Return a table per topic of which the main table does not show everything; saved as JPEG they are others."""
    measures, found = digest.study.measures, list[Grid]()
    for topic in dict.fromkeys(each.topic for each in measures.values()):
        for saved in ("", JPEG):
            own = [
                key for key in digest.lines if measures[key[1]].topic == topic and key[2].endswith(JPEG) == bool(saved)
            ]
            columns = headlines(own, measures, every=True)
            if set(columns) <= set(digest.columns):
                continue
            name = (slug(topic) or "topic") + ("-jpeg" if saved else "")
            while name in (*TAKEN, *(each.name for each in found)):
                name += "-more"
            title = topic + (", images saved as JPEG" if saved else "")
            found.append(_topic_sheet(digest, name, title, columns, spread))
    return found


def _topic_sheet(digest: Digest, name: str, title: str, columns: list[Column], spread: Spread) -> Grid:
    shown = columns[:MOST_OF_A_TOPIC]
    order = {each: place for place, each in enumerate(digest.study.measures)}

    def place(column: Column) -> tuple[int, int, int]:
        kind = parse_corruption(column.condition or "")
        return (0, 0, 0) if kind is None else (1, order[column.measure], CORRUPTIONS.index(kind[0]))

    shown.sort(key=place)
    kinds = {(each.condition or "").removesuffix(JPEG).removesuffix("-procedural") for each in columns}
    lost = [in_words(each) for each in IMAGENET_C if each not in kinds]
    notes = [f"Not measured at all severities: {', '.join(lost)}."] if 0 < len(lost) < len(IMAGENET_C) / 2 else []
    notes += _more(len(columns) - len(shown))
    notes += _obtained(digest.measure(each) for each in shown)
    heads = heads_of(shown, [digest.measure(each) for each in shown])
    return _combinations_down(digest, name, title, shown, heads, spread, [*notes, *digest.study.holes])


def differences_sheet(digest: Digest, *, pairs: SamplePairs | None = None) -> Grid:
    """Return the table of paired differences to the baseline.

    Args:
        digest: The numbers.
        pairs: Intervals of the differences of single runs; None leaves these without.
    """
    columns = [each for each in digest.columns if any(digest.pair(one.index, each) for one in digest.combinations)]
    heads = heads_of(columns, [titled(digest.measure(each)) for each in columns])
    lines, numbers, sampled = [], set[int](), dict[str, bool]()
    foreign = [each for each in digest.combinations if digest.is_foreign(each)]
    for each in digest.combinations:
        if each.index not in digest.baseline_indices and each not in foreign:
            name, *labels = _labels(digest, each)
            cells = [_difference(digest, each, column, pairs) for column in columns]
            lines.append((replace(name, against=digest.baseline_of(each)), *labels, *cells))
            for column, head, cell in zip(columns, heads, cells, strict=True):
                line = digest.pair(each.index, column)
                numbers |= {line["pairs"]} if line else set()
                if line and line["pairs"] == 1:
                    sampled[head.text] = sampled.get(head.text, False) or bool(cell.low)
    among = " that agrees in everything else" if len(digest.baseline_indices) > 1 else ""
    about, notes = about_intervals(numbers, sampled.values())
    bare = [name for name, known in sampled.items() if not known]
    notes += [f"Without an interval: {'; '.join(bare)}."] if bare and any(sampled.values()) else []
    notes += [f"Measured on other data, not compared: {', '.join(each.name for each in foreign)}."] if foreign else []
    neither = [head.text for head, each in zip(heads, columns, strict=True) if not digest.measure(each).direction]
    notes += [f"No preferred direction, never marked: {'; '.join(dict.fromkeys(neither))}."] if neither else []
    caption = f"Difference to {digest.baseline_name}{among}, {about}; shares in percentage points."
    heads, directions = directed(heads, [digest.measure(each) for each in columns])
    title, notes = f"Differences to {digest.baseline_name}", [*directions, *notes, *digest.study.holes]
    return _grid(digest, heads, lines, name="differences", title=title, caption=caption, notes=notes)


def _combinations_down(
    digest: Digest,
    name: str,
    title: str,
    columns: list[Column],
    heads: Sequence[Cell],
    spread: Spread,
    notes: Sequence[str],
) -> Grid:
    """Return a table with a line per combination."""
    lines = []
    heads, directions = directed(heads, [digest.measure(each) for each in columns])
    for each in digest.combinations:
        label, *more = _labels(digest, each)
        is_baseline = digest.is_compared and each.index in digest.baseline_indices
        values = (_value(digest, each, column, spread) for column in columns)
        lines.append((replace(label, aside="baseline" if is_baseline else ""), *more, *values))
    shares = any(digest.measure(each).percent for each in columns)
    caption = f"{_spread(digest, spread)}{'; shares in percent' if shares else ''}."
    return _grid(digest, heads, lines, name=name, title=title, caption=caption, notes=[*directions, *notes])


def _grid(
    digest: Digest,
    heads: Sequence[Cell],
    lines: Sequence[tuple[Cell, ...]],
    *,
    name: str,
    title: str,
    caption: str,
    notes: Sequence[str],
) -> Grid:
    """Return a table whose lines begin with the labels of a combination."""
    axes = [words_of(axis) for axis in _varied(digest)]
    doubts = [DOUBT_NOTE] if any(cell.doubt for line in lines for cell in line) else []
    return Grid(
        name=name,
        title=title,
        caption=caption,
        columns=("combination", *axes, "runs", *heads),
        lines=tuple(lines),
        num_labels=1 + len(axes),
        num_axes=len(axes),
        notes=(*doubts, *notes),
    )


def _varied(digest: Digest) -> list[str]:
    """Return the axes that have columns of their own: several that take more than one value."""
    axes = [name for name in digest.study.axes if len({each.labels[name] for each in digest.combinations}) > 1]
    return axes if len(axes) > 1 else []


def _labels(digest: Digest, combination: Combination) -> tuple[Cell, ...]:
    values = [combination.labels[name] for name in _varied(digest)]
    axes = [
        Cell(text=f"{value:g}", value=value)
        if isinstance(value, int | float)
        else Cell(text="" if value is None else str(value))
        for value in values
    ]
    lost = ", ".join(map(str, combination.missing))
    plural = "s" if len(combination.missing) > 1 else ""
    aside = f"missing seed{plural} {lost}" if lost else ""
    runs = Cell(text=combination.share, value=float(combination.num_done), flag="!" if lost else "", aside=aside)
    return (Cell(text=combination.name, combination=combination.index), *axes, runs)


def _value(digest: Digest, combination: Combination, column: Column, spread: Spread) -> Cell:
    """Return the cell of a combination in a column."""
    line = digest.line(combination.index, column)
    if line is None:
        return Cell(text=NOT_MEASURED, flag="no result" if combination.num_done == 0 else "not measured")
    names = ("q50", "q10", "q90") if spread == "quantiles" else ("mean", "low", "high")
    if line["done"] == 1:
        names = (names[0], "sample_low", "sample_high")
    measure = digest.measure(column)
    middle, low, high = ("" if line[name] is None else number(measure, line[name], line["samples"]) for name in names)
    lost = line["done"] < combination.num_done
    return Cell(
        text=middle,
        low=low if high else "",
        high=high if low else "",
        value=line[names[0]],
        flag=f"{line['done']}/{line['planned']}" if lost else "",
        doubt=line["doubt"],
        measure=line["measure"],
        condition=line["condition"],
    )


def _difference(digest: Digest, combination: Combination, column: Column, pairs: SamplePairs | None) -> Cell:
    """Return the cell of a difference; its tone where an interval, over enough pairs or over samples, excludes 0."""
    line, own = digest.pair(combination.index, column), digest.line(combination.index, column)
    if line is None or own is None:
        return Cell(text=NOT_MEASURED, flag="no pair")
    measure = digest.measure(column)
    gap = pairs.of(combination.index, column) if pairs else None
    ends = (gap.low, gap.high) if gap else (line["low"], line["high"])
    middle, low, high = (
        "" if value is None else number(measure, value, own["samples"], sign=True)
        for value in (line["difference"], *ends)
    )
    enough = gap is not None or line["pairs"] >= LEAST_PAIRS
    doubt = digest.doubt_of_pair(combination.index, column)
    sure = enough and not doubt and (ends[0] > 0 or ends[1] < 0) and middle.strip("0.") != ""
    better = measure.direction * line["difference"]
    return Cell(
        text=middle,
        low=low,
        high=high,
        value=line["difference"],
        flag=f"{line['pairs']}/{own['planned']} pairs" if line["pairs"] < own["planned"] else "",
        tone="" if not sure or not better else "better" if better > 0 else "worse",
        doubt=doubt,
        measure=column.measure,
        condition=line["condition"],
    )


def _obtained(measures: Iterable[Measure]) -> list[str]:
    """Return how numbers about robustness were obtained, and what was spent on them, in sentences."""
    found = {}
    for each in measures:
        parts = [part for part in (KINDS.get(each.kind, ""), each.budget) if part]
        found |= {f"{sentence(each.words)}: {', '.join(parts)}.": None} if parts else {}
    return list(found)


def _spread(digest: Digest, spread: Spread) -> str:
    """Return what the numbers are: of single runs or over the seeds; and what is shown next to them."""
    several = any(line["done"] > 1 for line in digest.lines.values())
    alone = any(line["done"] == 1 and line["sample_low"] is not None for line in digest.lines.values())
    interval = "95 % interval over the test samples"
    if several:
        return SPREADS[spread] + (f"; of a single run its value, and the {interval}" if alone else "")
    return "Single runs" + (", with 95 % intervals over the test samples" if alone else "")


def _more(left: int) -> list[str]:
    return [f"{left} more column{'s' if left > 1 else ''} in All numbers."] if left > 0 else []


def _samples(digest: Digest) -> list[str]:
    shown = [digest.line(each.index, column) for each in digest.combinations for column in digest.columns]
    counts = sorted({line["samples"] for line in shown if line and digest.study.measures[line["measure"]].percent})
    return [f"n = {counts[0]:,}{'' if counts[0] == counts[-1] else f' to {counts[-1]:,}'} samples."] if counts else []
