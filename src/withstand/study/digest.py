"""Digest: the numbers of a study that a report shows, each with the way back to its rows."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from withstand.study.aggregate import paired
from withstand.study.combination import INDEX, PLAIN, Combination, combinations_of, matches, parse_baseline, with_index
from withstand.study.measures.measure import Measure
from withstand.study.primary import Column, headlines
from withstand.study.study import Study, name_of

if TYPE_CHECKING:
    import polars

MOST_COLUMNS = 12  # of the main table; the others are in the table of all
LEAST_PAIRS = 3  # two that happen to agree have no spread, which says nothing
Line = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Digest:
    """The numbers of a study that a report shows.

    Attributes:
        study: The runs.
        combinations: What was varied, with the runs of each.
        frame: A line per run and row with the index of the combination.
        summary: A line per combination, measure and condition of it.
        baseline: Values of the combinations that others are compared with; these come first.
        is_chosen: Whether the baseline was given, not taken by default.
        differences: A line per combination, measure and condition, as `paired` returns it; empty if there is one only.
            Combinations on other data than their baseline have none.
        data: Name of the data set and its classes, by index of the combination, where outcomes were kept.
    """

    study: Study
    combinations: tuple[Combination, ...]
    frame: "polars.DataFrame" = field(repr=False)
    summary: "polars.DataFrame" = field(repr=False)
    baseline: dict[str, Any]
    is_chosen: bool = False
    differences: "polars.DataFrame" = field(repr=False)
    data: Mapping[int, tuple[str, tuple[str, ...]]]

    @classmethod
    def of(cls, study: Study, *, baseline: list[str] | None = None) -> "Digest":
        """Compute everything.

        Args:
            study: The runs.
            baseline: Such as `["method=regular"]`; by default a name such as `regular`, else the first value varied.

        Raises:
            InputError: If no combination has the baseline's values.
        """
        import polars

        values = parse_baseline(baseline or [], combinations_of(study))
        study = study.led_by(values)
        combinations = combinations_of(study)
        frame = with_index(study.frame, combinations)
        found = cls(
            study=study,
            combinations=combinations,
            frame=frame,
            summary=with_index(study.summary, combinations),
            baseline=values,
            is_chosen=bool(baseline),
            differences=_differences(study.frame, frame, combinations, values),
            data=_data(study, combinations),
        )
        foreign = [each.index for each in combinations if found.is_foreign(each)]
        return replace(found, differences=found.differences.filter(~polars.col(INDEX).is_in(foreign)))

    def measure(self, column: Column) -> Measure:
        """Return the measure of a column."""
        return self.study.measures[column.measure]

    @property
    def is_compared(self) -> bool:
        """Whether there is more than the baseline."""
        return not self.differences.is_empty()

    @property
    def baseline_name(self) -> str:
        """Readable name of the baseline."""
        return name_of(self.baseline)

    @property
    def baseline_choice(self) -> str:
        """How the baseline was chosen, in a sentence."""
        if self.is_chosen:
            return f"Baseline: {self.baseline_name} (chosen with --baseline)."
        why = "recognised by its name" if {*self.baseline.values()} & {*PLAIN} else "the first one"
        return f"Baseline: {self.baseline_name} ({why}; choose another with --baseline)."

    @cached_property
    def baseline_indices(self) -> tuple[int, ...]:
        """The combinations that have the baseline's values."""
        return tuple(each.index for each in self.combinations if matches(each, self.baseline))

    def baseline_of(self, combination: Combination) -> int | None:
        """Return the combination that another one is compared with; None if there is none."""
        if len(self.baseline_indices) == 1:
            return self.baseline_indices[0]
        wanted = {**combination.labels, **self.baseline}
        return next((index for index in self.baseline_indices if self.combinations[index].labels == wanted), None)

    def is_foreign(self, combination: Combination) -> bool:
        """Return whether a combination was measured on other data than the one that it would be compared with."""
        base = self.baseline_of(combination)
        own, others = self.data.get(combination.index), None if base is None else self.data.get(base)
        return None not in (own, others) and own != others

    @cached_property
    def columns(self) -> list[Column]:
        """The columns of the main table."""
        return headlines(self.lines, self.study.measures)[:MOST_COLUMNS]

    @cached_property
    def lines(self) -> dict[tuple[int, str, str], Line]:
        """Lines of the summary by combination, measure and condition."""
        found = self.summary.filter(self.summary["measure"].is_not_null())
        return {(line[INDEX], line["measure"], line["condition"]): line for line in found.iter_rows(named=True)}

    @cached_property
    def pairs(self) -> dict[tuple[int, str, str], Line]:
        """Lines of the differences by combination, measure and condition."""
        lines = self.differences.iter_rows(named=True)
        return {(line[INDEX], line["measure"], line["condition"]): line for line in lines}

    @cached_property
    def _own(self) -> dict[tuple[int, str], str]:
        """The condition by combination and measure; if there are several, the last one."""
        return {(index, measure): condition for index, measure, condition in self.lines}

    def condition(self, index: int, column: Column) -> str | None:
        """Return the condition under which a combination has a column's value; None if it has none."""
        return self._own.get((index, column.measure)) if column.condition is None else column.condition

    def line(self, index: int, column: Column) -> Line | None:
        """Return the summary of a combination in a column; None if it was not measured."""
        return self.lines.get((index, column.measure, self.condition(index, column) or ""))

    def pair(self, index: int, column: Column) -> Line | None:
        """Return the difference of a combination to the baseline in a column; None if there is none."""
        return self.pairs.get((index, column.measure, self.condition(index, column) or ""))

    def doubt(self, index: int, column: Column) -> str:
        """Return why the value of a combination in a column is not trustworthy; empty without a doubt."""
        line = self.line(index, column)
        return "" if line is None else line["doubt"]

    def doubt_of_pair(self, index: int, column: Column) -> str:
        """Return why the difference of a combination to the baseline is not trustworthy; empty without a doubt."""
        base, condition = self.baseline_of(self.combinations[index]), self.condition(index, column) or ""
        theirs = {} if base is None else self.lines.get((base, column.measure, condition), {})
        return self.doubt(index, column) or theirs.get("doubt", "")

    @cached_property
    def holes(self) -> list[str]:
        """Sentences: runs that are missing or in no plan, and measures that runs which are there lack."""
        found = [*self.study.holes, *self.study.unplanned]
        for column in self.columns:
            for each in self.combinations:
                line = self.line(each.index, column)
                if line is None or line["done"] == each.num_done:
                    continue
                lost = [seed for seed in line["missing"].split(", ") if seed not in map(str, each.missing)]
                plural = "s" if len(lost) > 1 else ""
                where = f"{self.measure(column).words}, {line['condition']}"
                found.append(f"{each.name}: {where} is not there for seed{plural} {', '.join(lost)}")
        return found

    @cached_property
    def notes(self) -> list[str]:
        """Sentences about how runs were measured; those that are not about all combinations name theirs."""
        found: dict[str, list[str]] = {}
        for each in self.combinations:
            own = (self.study.notes.get(trial.run, ()) for trial in each.trials)
            for sentence in dict.fromkeys(sentence for sentences in own for sentence in sentences):
                found.setdefault(sentence, []).append(each.name)
        return [
            sentence if len(names) == len(self.combinations) else f"{', '.join(names)}: {sentence}"
            for sentence, names in found.items()
        ]


def _data(study: Study, combinations: tuple[Combination, ...]) -> dict[int, tuple[str, tuple[str, ...]]]:
    found = {}
    for each in combinations:
        run = next((trial.run for trial in each.trials if trial.status == "done"), None)
        if run is not None and (table := study.table_of(run)) is not None:
            found[each.index] = table.data, table.classes
    return found


def _differences(
    frame: "polars.DataFrame",
    indexed: "polars.DataFrame",
    combinations: tuple[Combination, ...],
    baseline: dict[str, Any],
) -> "polars.DataFrame":
    """Return paired differences with the index of the combination.

    Where one combination has the baseline's values, all others are compared with it; where several have them, every
    other one with that which agrees in all further axes.
    """
    own = [each.index for each in combinations if matches(each, baseline)]
    if len(own) > 1:
        return with_index(paired(frame, baseline), combinations) if len(own) < len(combinations) else indexed.clear()
    if len(combinations) == 1 or indexed.filter(indexed[INDEX] == own[0])["measure"].is_null().all():
        return indexed.clear()
    return paired(indexed.drop(list(combinations[0].labels)), {INDEX: own[0]})
