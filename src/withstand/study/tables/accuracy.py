"""Accuracies under corruptions: severities across for one model, models across for several."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace

from withstand.rendering.grid import Grid
from withstand.study.measures.cells import members_of
from withstand.study.measures.condition import EXTRAS, JPEG, MEAN, NOISE, Saved, parse_cell
from withstand.study.measures.measure import Measure
from withstand.study.measures.outcomes import OutcomeTable
from withstand.study.measures.row import Row
from withstand.study.measures.suites import ALL, ALL_BUT_NOISE, CE, ERROR, MCE, MEAN_ERROR, RELATIVE_MCE, TOP1, Suite
from withstand.study.tables.cell_text import Style, cell, fitting, title_of, widths

SUMMARY = {
    (MEAN_ERROR, ALL): "mean corruption error",
    (MEAN_ERROR, ALL_BUT_NOISE): "the same without noise",
    (MEAN_ERROR, ALL + JPEG): "mean corruption error",
    (MEAN_ERROR, ALL_BUT_NOISE + JPEG): "the same without noise",
    (MCE, ALL + JPEG): "mCE (AlexNet = 100)",
    (MCE, ALL_BUT_NOISE + JPEG): "mCE without noise",
    (RELATIVE_MCE, ALL + JPEG): "relative mCE",
    (RELATIVE_MCE, ALL_BUT_NOISE + JPEG): "relative mCE w/o noise",
}


class AccuracyTable:
    """The table of one measure of accuracy.

    Attributes:
        one: Whether it has severities across.
        claimed: Names of the measures of which it shows every row, or what follows from it.
    """

    def __init__(
        self,
        results: Mapping[str, Sequence[Row]],
        measures: Mapping[str, Measure],
        measure: Measure,
        *,
        outcomes: Mapping[str, OutcomeTable],
        each_severity: bool = False,
    ) -> None:
        """Keep what there is to show.

        Args:
            results: All rows, by model.
            measures: Of these rows, by name.
            measure: The one to show.
            outcomes: What the rows come from, by model, as far as it is known: gives means their intervals.
            each_severity: Whether several models have a line for every severity, or one for the mean over them.
        """
        self.measures, self.measure, self.each_severity = measures, measure, each_severity
        self.models = [name for name, rows in results.items() if any(row.measure == measure.name for row in rows)]
        self.suites = {name: Suite(results[name], measure, outcomes.get(name)) for name in self.models}
        conditions = dict.fromkeys(name for suite in self.suites.values() for name in suite.rows)
        self.kinds = kinds_of(conditions)
        self.groups, self.short = self._group(results, outcomes)
        cells = {each for own in self.kinds.values() for each in own}
        self.plain = [name for name in conditions if name not in cells and not is_mean(name)]
        self.severities = sorted({name.rsplit("/", 1)[1] for name in cells})
        whole = all(len(own) == len(self.severities) for own in self.kinds.values())
        self.one = len(self.models) == 1 and bool(self.kinds) and whole
        is_main = measure.name == TOP1
        self.further = {name: {(row.measure, row.condition): row for row in results[name]} for name in self.models}
        ways = saved_ways(cells)
        self.summary = {
            key: words + JPEG * (len(ways) > 1 and key[0] == MEAN_ERROR and key[1].endswith(JPEG))
            for key, words in SUMMARY.items()
            if is_main and any(key in rows for rows in self.further.values())
        }
        self.ce = is_main and self.one and any(name == CE for rows in self.further.values() for name, _ in rows)
        self.claimed = {measure.name}
        if is_main:
            self.claimed |= {ERROR, MEAN_ERROR, MCE, RELATIVE_MCE} | ({CE} if self.ce else set())

    def table(self) -> Grid:
        """Return the table."""
        rows = [row for suite in self.suites.values() for name, row in suite.rows.items() if not is_mean(name)]
        title = title_of(self.measure.words, [self.measure], rows)
        in_cells = self.in_full and not self.one
        shown = [row for row in rows if in_cells or row.condition in self.plain]
        shown += [row for row in self._means() if row is not None]
        further = {}
        for name, words in ((MCE, "mCE"), (RELATIVE_MCE, "relative mCE")):
            own = [row for rows in self.further.values() for key, row in rows.items() if key[0] == name]
            further |= {words: own} if own and self.summary else {}
        if not self.one:
            shown = {"means" if further else "": shown, **further}
            return fitting(lambda style: self._side_by_side(title, style), shown, self.measures)
        shown = {"means": shown, **further}
        table = fitting(lambda style: self._one_model(title, style), shown, self.measures, spread=True)
        cells = [row for row in rows if row.condition not in self.plain]
        return replace(table, notes=(*table.notes, *widths({"single cells": cells}, self.measures)))

    @property
    def in_full(self) -> bool:
        """Whether there is a line for every severity."""
        return self.each_severity or len(self.models) == 1 or any(len(own) == 1 for own in self.kinds.values())

    def _mean(self, model: str, cells: Sequence[str]) -> Row | None:
        """Return the mean over some cells; a missing one leaves a hole rather than another mean."""
        suite = self.suites[model]
        if not cells or not suite.rows.keys() >= set(cells):
            return None
        return suite.sum(self.measure.name, "", dict.fromkeys(cells, 1 / len(cells)))

    def _means(self) -> list[Row | None]:
        means = [self._mean(model, cells) for model in self.models for cells in self.kinds.values()]
        return means + [self._group_mean(model, cells) for model in self.models for cells in self.groups.values()]

    def _group_mean(self, model: str, cells: Sequence[str]) -> Row | None:
        """Return the mean over the cells of a group; None where one of them does not count."""
        return None if self.short[model] & set(cells) else self._mean(model, cells)

    def _group(
        self, results: Mapping[str, Sequence[Row]], outcomes: Mapping[str, OutcomeTable]
    ) -> tuple[dict[str, list[str]], dict[str, set[str]]]:
        """Return the cells of every mean over corruptions by its name, and by model the cells that do not count."""
        groups: dict[str, list[str]] = {}
        short = {name: {each for each in suite.rows if parse_cell(each)} for name, suite in self.suites.items()}
        ways = saved_ways(cell for own in short.values() for cell in own)
        for saved in sorted(ways):
            cells: dict[str, dict[str, None]] = {}
            for model in self.models:
                for kind, own in Suite(results[model], self.measure, outcomes.get(model), saved=saved).kinds.items():
                    cells.setdefault(kind, {}).update(dict.fromkeys(own))
                    short[model] -= set(own)
            for name, kinds in groups_of(list(cells)):
                groups[mean_name(name, saved, ways)] = [cell for kind in kinds for cell in cells[kind]]
        return groups, short

    def _one_model(self, title: str, style: Style) -> Grid:
        """Return severities across, then the mean and, where there is a reference, CE."""
        (model,) = self.models
        rows, empty = self.suites[model].rows, [""] * len(self.severities)
        last = [""] * self.ce
        lines: list[tuple[str, ...] | None] = [
            (name, *empty, cell(self.measure, rows[name], style), *last) for name in self.plain
        ]
        lines += [None] if self.plain else []
        for kind, cells in self.kinds.items():
            ce = [cell(self.measures[CE], self.further[model].get((CE, kind)))] if self.ce else []
            values = (cell(self.measure, rows[each]) for each in cells)
            lines.append((kind, *values, cell(self.measure, self._mean(model, cells), style), *ce))
        lines.append(None)
        for name, cells in self.groups.items():
            across = [[each for each in cells if each.endswith(f"/{severity}")] for severity in self.severities]
            means = [self._mean(model, own) for own in across]
            every = cell(self.measure, self._mean(model, cells), style)
            lines.append((name, *(cell(self.measure, each) for each in means), every, *last))
        lines += [None] if self.summary else []
        for key, words in self.summary.items():
            lines.append((words, *empty, cell(self.measures[key[0]], self.further[model].get(key), style), *last))
        columns = (model, *(f"s{each}" for each in self.severities), "mean", *["CE"] * self.ce)
        return Grid(title=title, columns=columns, lines=tuple(lines))

    def _side_by_side(self, title: str, style: Style) -> Grid:
        """Return a line per condition, with the mean over the severities of a corruption or all of them."""

        def line(*labels: str, rows: Sequence[Row | None], measure: Measure = self.measure) -> tuple[str, ...]:
            return *labels, *(cell(measure, row, style) for row in rows)

        def own(name: str) -> list[Row | None]:
            return [suite.rows.get(name) for suite in self.suites.values()]

        lines: list[tuple[str, ...] | None] = [line(name, "", rows=own(name)) for name in self.plain]
        lines += [None] if self.plain and self.kinds else []
        for kind, cells in self.kinds.items():
            if not self.in_full:
                lines.append(line(kind, "", rows=[self._mean(model, cells) for model in self.models]))
                continue
            lines += [line(kind, name.rsplit("/", 1)[1], rows=own(name)) for name in cells]
            lines.append(None)
        lines += [None] if self.kinds and not self.in_full else []
        for name, cells in self.groups.items():
            lines.append(line(name, "", rows=[self._group_mean(model, cells) for model in self.models]))
        lines += [None] if self.summary else []
        for key, words in self.summary.items():
            values = [self.further[model].get(key) for model in self.models]
            lines.append(line(words, "", rows=values, measure=self.measures[key[0]]))
        columns, num_labels = ("condition", "severity", *self.models), 2
        if not any(each and each[1] for each in lines):
            columns, num_labels = ("condition", *self.models), 1
            lines = [each and (each[0], *each[2:]) for each in lines]
        return Grid(title=title, columns=columns, lines=tuple(lines), num_labels=num_labels)


def kinds_of(conditions: Sequence[str] | Mapping[str, None]) -> dict[str, list[str]]:
    """Return the conditions that have a severity, by what stands before it.

    Example:
        >>> kinds_of(["clean", "fog/1", "fog/2", "a/b"])
        {'fog': ['fog/1', 'fog/2']}
    """
    kinds: dict[str, list[str]] = {}
    for name in conditions:
        kind, _, severity = name.rpartition("/")
        if kind and severity in ("1", "2", "3", "4", "5"):
            kinds.setdefault(kind, []).append(name)
    return kinds


def is_mean(condition: str) -> bool:
    """Return whether a condition is the mean over corruptions, as `suite_rows` writes it."""
    return condition.split(" (")[0] in (MEAN, MEAN + JPEG)


def saved_ways(conditions: Iterable[str]) -> set[Saved]:
    """Return the ways of saving the images of the cells of corruptions among some conditions."""
    return {cell.saved for each in conditions if (cell := parse_cell(each)) is not None}


def mean_name(name: str, saved: Saved, ways: Collection[Saved]) -> str:
    """Return what a mean over corruptions is called: the way of saving is named where there are several.

    Example:
        >>> mean_name("mean of corruptions", "+jpeg", {"+jpeg"}), mean_name("mean of noise", "+jpeg", {"", "+jpeg"})
        ('mean of corruptions', 'mean of noise+jpeg')
    """
    return f"{name}{saved}" if len(ways) > 1 else name


def called(condition: str, ways: Collection[Saved]) -> str:
    """Return what tables call a mean over corruptions.

    Example:
        >>> called("corruptions+jpeg (8 cells)", {"+jpeg"})
        'mean of corruptions'
    """
    return mean_name(f"mean of {MEAN}", JPEG if JPEG in condition else "", ways)


def groups_of(kinds: Sequence[str]) -> list[tuple[str, list[str]]]:
    """Return the means worth a line, of corruptions that are saved in one way: with and without noise; extras apart."""
    members = members_of(kinds)
    if not members:
        return []
    extras = [kind for kind in kinds if kind in EXTRAS and kind not in members]
    noise = [kind for kind in members if kind in NOISE]
    rest = [kind for kind in members if kind not in noise]
    found = [("mean of extras", extras)] if extras else []
    if noise and rest:
        found += [("mean of noise", noise), ("mean without noise", rest)]
    return [*found, (f"mean of {MEAN}", members)]
