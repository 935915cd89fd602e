"""Accuracies under corruptions: severities across for one model, models across for several."""

from collections.abc import Collection, Iterable, Mapping, Sequence

from withstand.conditions import (
    BEYOND,
    EXTRAS,
    JPEG,
    MEAN,
    NOISE,
    PARTIAL,
    SUITES,
    Saved,
    in_order,
    is_mean,
    parse_cell,
)
from withstand.rendering.grid import Grid
from withstand.study.measures.cells import members_of
from withstand.study.measures.measure import Measure
from withstand.study.measures.outcomes import OutcomeTable
from withstand.study.measures.row import Row
from withstand.study.measures.suites import ALL, ALL_BUT_NOISE, CE, ERROR, MCE, MEAN_ERROR, RELATIVE_MCE, TOP1, Suite
from withstand.study.tables.cell_text import Line, Number, number_table, title_of

SUMMARY = {
    (MEAN_ERROR, ALL): "mean corruption error",
    (MEAN_ERROR, ALL_BUT_NOISE): "the same without noise",
    **{
        (MEAN_ERROR, name + saved): f"mean error, {name}" + f" ({PARTIAL.get(name)})" * (name in PARTIAL)
        for saved in ("", JPEG)
        for name in SUITES
    },
    (MEAN_ERROR, ALL + JPEG): "mean corruption error",
    (MEAN_ERROR, ALL_BUT_NOISE + JPEG): "the same without noise",
    (MCE, ALL + JPEG): "mCE (AlexNet = 100)",
    (MCE, ALL_BUT_NOISE + JPEG): "mCE without noise",
    (RELATIVE_MCE, ALL + JPEG): "relative mCE",
    (RELATIVE_MCE, ALL_BUT_NOISE + JPEG): "relative mCE w/o noise",
}

RELATIVE = {MCE: "mCE", RELATIVE_MCE: "relative mCE"}


class AccuracyTable:
    """The table of one measure of accuracy.

    Attributes:
        one: Whether the severities are side by side.
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
        """Collect the rows.

        Args:
            results: All rows, by model.
            measures: Measures of these rows, by name.
            measure: The one to show.
            outcomes: Outcomes behind the rows, by model, where known: give means their intervals.
            each_severity: Whether several models have a line for every severity, or one for the mean over them.
        """
        self.measures, self.measure = measures, measure
        self.models = [name for name, rows in results.items() if any(row.measure == measure.name for row in rows)]
        self.suites = {name: Suite(results[name], measure, outcomes.get(name)) for name in self.models}
        conditions = dict.fromkeys(name for suite in self.suites.values() for name in suite.rows)
        self.kinds = kinds_of(conditions)
        self.groups, self.short = self._group(results, outcomes)
        cells = {each for own in self.kinds.values() for each in own}
        self.plain = in_order(name for name in conditions if name not in cells and not is_mean(name))
        self.severities = sorted({name.rsplit("/", 1)[1] for name in cells})
        whole = all(len(own) == len(self.severities) for own in self.kinds.values())
        self.one = len(self.models) == 1 and bool(self.kinds) and whole
        graded = any(len(own) == 1 for own in self.kinds.values())
        self.in_full = each_severity or len(self.models) == 1 or graded
        is_main = measure.name == TOP1
        self.further = {name: {(row.measure, row.condition): row for row in results[name]} for name in self.models}
        known = {key for rows in self.further.values() for key in rows}
        several = len(saved_ways(cells)) > 1
        self.summary = {
            key: words + JPEG * (several and key[0] == MEAN_ERROR and key[1].endswith(JPEG))
            for key, words in SUMMARY.items()
            if is_main and key in known
        }
        self.ce = is_main and self.one and CE in {name for name, _ in known}
        self.claimed = {measure.name}
        if is_main:
            self.claimed |= {ERROR, MEAN_ERROR, MCE, RELATIVE_MCE} | ({CE} if self.ce else set())

    def table(self) -> Grid:
        """Return the table."""
        rows = [row for suite in self.suites.values() for name, row in suite.rows.items() if not is_mean(name)]
        title = title_of(self.measure.words, [self.measure], rows)
        return self._one_model(title) if self.one else self._side_by_side(title)

    def _number(self, row: Row | None) -> Number:
        is_alone = not self.one and not any(name in RELATIVE for name, _ in self.summary)
        return Number(self.measure, row, "" if is_alone else "means")

    def _summed(self, model: str, key: tuple[str, str]) -> Number:
        """Return a number of the summary; errors have the same intervals as the accuracies."""
        return Number(self.measures[key[0]], self.further[model].get(key), RELATIVE.get(key[0]))

    def _mean(self, model: str, cells: Sequence[str], *, hides: Collection[str] = ()) -> Row | None:
        """Return the mean over some cells; a missing or hidden one leaves a hole rather than another mean."""
        suite = self.suites[model]
        if not cells or not suite.rows.keys() >= set(cells) or set(hides) & set(cells):
            return None
        return suite.sum(self.measure.name, "", dict.fromkeys(cells, 1 / len(cells)))

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

    def _one_model(self, title: str) -> Grid:
        """Return severities across, then the mean and, if there is a reference, CE."""
        (model,) = self.models
        rows, empty, last = self.suites[model].rows, [""] * len(self.severities), [""] * self.ce
        lines: list[Line] = [(name, *empty, self._number(rows[name]), *last) for name in self.plain]
        lines += [None] if self.plain else []
        for kind, cells in self.kinds.items():
            own = (Number(self.measure, rows[each], "single cells", is_bare=True) for each in cells)
            ce = [self._summed(model, (CE, kind))._replace(is_bare=True)] if self.ce else []
            lines.append((kind, *own, self._number(self._mean(model, cells)), *ce))
        lines.append(None)
        for name, cells in self.groups.items():
            across = ([each for each in cells if each.endswith(f"/{severity}")] for severity in self.severities)
            means = (Number(self.measure, self._mean(model, own), None, is_bare=True) for own in across)
            lines.append((name, *means, self._number(self._mean(model, cells)), *last))
        lines += [None] if self.summary else []
        lines += [(words, *empty, self._summed(model, key), *last) for key, words in self.summary.items()]
        columns = (model, *(f"s{each}" for each in self.severities), "mean", *["CE"] * self.ce)
        return number_table(title, columns, lines, spread=True)

    def _side_by_side(self, title: str) -> Grid:
        """Return a line per condition, with the mean over the severities of a corruption or all of them."""
        suites = self.suites.items()
        lines: list[Line] = [
            (name, "", *(self._number(own.rows.get(name)) for _, own in suites)) for name in self.plain
        ]
        lines += [None] if self.plain and self.kinds else []
        for kind, cells in self.kinds.items():
            if self.in_full:
                for name in cells:
                    own = (self._number(suite.rows.get(name)) for suite in self.suites.values())
                    lines.append((kind, name.rsplit("/", 1)[1], *own))
                lines.append(None)
            else:
                lines.append((kind, "", *(self._number(self._mean(model, cells)) for model in self.models)))
        lines += [None] if self.kinds and not self.in_full else []
        for name, cells in self.groups.items():
            means = (self._mean(model, cells, hides=self.short[model]) for model in self.models)
            lines.append((name, "", *map(self._number, means)))
        lines += [None] if self.summary else []
        for key, words in self.summary.items():
            lines.append((words, "", *(self._summed(model, key) for model in self.models)))
        if any(line and line[1] for line in lines):
            return number_table(title, ("condition", "severity", *self.models), lines, num_labels=2)
        lines = [line and (line[0], *line[2:]) for line in lines]
        return number_table(title, ("condition", *self.models), lines)


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


def saved_ways(conditions: Iterable[str]) -> set[Saved]:
    """Return the ways of saving the images of the cells of corruptions among some conditions."""
    return {cell.saved for each in conditions if (cell := parse_cell(each)) is not None}


def mean_name(name: str, saved: Saved, ways: Collection[Saved]) -> str:
    """Return the label of a mean over corruptions; it names the way of saving if there are several.

    Example:
        >>> mean_name("mean of corruptions", "+jpeg", {"+jpeg"}), mean_name("mean of noise", "+jpeg", {"", "+jpeg"})
        ('mean of corruptions', 'mean of noise+jpeg')
    """
    return f"{name}{saved}" if len(ways) > 1 else name


def called(condition: str, ways: Collection[Saved]) -> str:
    """Return what tables call a mean over corruptions.

    Example:
        >>> called("corruptions+jpeg (8 cells)", {"+jpeg"}), called("corruptions of cifar10-c-bar", {""})
        ('mean of corruptions', 'mean of C-bar')
    """
    whole = condition.partition(" (")[0].removesuffix(JPEG)
    suite = set(SUITES.get(whole.removeprefix(f"{MEAN} of "), ()))
    whole = next((name for name, own in BEYOND.items() if suite and suite <= set(own)), whole)
    return mean_name(f"mean of {whole}", JPEG if JPEG in condition else "", ways)


def groups_of(kinds: Sequence[str]) -> list[tuple[str, list[str]]]:
    """Return the means worth a line, of corruptions that are saved in one way: noise, others, and apart from them."""
    members = members_of(kinds)
    if not members:
        return []
    parts = {"extras": EXTRAS} | BEYOND
    apart = {name: [kind for kind in kinds if kind in own and kind not in members] for name, own in parts.items()}
    noise = [kind for kind in members if kind in NOISE]
    rest = [kind for kind in members if kind not in noise]
    found = [(f"mean of {name}", own) for name, own in apart.items() if own]
    if noise and rest:
        found += [("mean of noise", noise), ("mean without noise", rest)]
    whole = next((name for name, own in BEYOND.items() if set(members) <= set(own)), MEAN)
    return [*found, (f"mean of {whole}", members)]
