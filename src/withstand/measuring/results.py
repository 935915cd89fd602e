"""Results of one or several models: rows, tables, samples and comparisons."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from withstand.errors import InputError, brief
from withstand.files import write_whole
from withstand.limits import Location, checked
from withstand.measuring.differences import compare_tables, differences_table
from withstand.rendering.csv import csv
from withstand.rendering.grid import Grid
from withstand.rendering.markdown import markdown
from withstand.study.measures.groups import by_group
from withstand.study.measures.measure import ACCURACY, Measure, joined
from withstand.study.measures.outcomes import OutcomeTable
from withstand.study.measures.reductions import REDUCTIONS, told_apart
from withstand.study.measures.row import Row, Rows
from withstand.study.measures.samples import sample_table
from withstand.study.measures.suites import MEASURES, suite_rows
from withstand.study.tables.all import tables

if TYPE_CHECKING:
    import pandas
    import polars


class Results:
    """Results of one or several models, by name.

    Attributes:
        tables_of_outcomes: The outcomes of every model.
        rows: The numbers of every model, with those that corruptions make together.
        measures: Measures of the rows, by name.
        notes: Sentences that a reader of the tables must know.

    Example:
        >>> import polars
        >>> from withstand.study.measures.outcomes import ConditionOutcomes
        >>> number = polars.Series([0, 1], dtype=polars.UInt32)
        >>> samples = {"source": "", "number": number, "label": [0, 1], "identifier": ["a.png", "b.png"]}
        >>> top1 = Measure(name="top1", column="correct", words="top-1 accuracy", topic="Accuracy", percent=True)
        >>> found = polars.DataFrame({"number": number, "correct": [True, False]})
        >>> clean = ConditionOutcomes(condition="clean", measures=(top1,), columns=found)
        >>> table = OutcomeTable(samples=polars.DataFrame(samples), classes=("no", "yes"), conditions=(clean,))
        >>> results = Results({"model": table})
        >>> results.rows["model"][0].value, results.tables()[0].lines
        (0.5, (('clean', '50.0 (9.5-90.5)'),))
    """

    @checked
    def __init__(
        self,
        tables: Mapping[str, OutcomeTable],
        *,
        rows: Mapping[str, Sequence[Row]] | None = None,
        measures: Mapping[str, Measure] | None = None,
        notes: Sequence[str] = (),
    ) -> None:
        """Keep tables of outcomes, and reduce them to rows.

        Args:
            tables: Outcomes by model, at least one.
            rows: What the outcomes were reduced to before, by model; None reduces them.
            measures: Measures of these rows, by name.
            notes: Sentences about how it was measured.

        Raises:
            InputError: If there is no model.
        """
        if not tables:
            raise InputError("Results: expected at least one model, got none.")
        found: dict[str, list[Row]] = {}
        known: dict[str, Measure] = dict(measures or {})
        for model, table in tables.items():
            own = table.reduce() if rows is None else Rows(list(rows[model]), dict(measures or {}))
            further = suite_rows(own.rows, own.measures, table)
            found[model] = [*own.rows, *further.rows]
            known = joined(known, {**own.measures, **further.measures})
        self.tables_of_outcomes: Mapping[str, OutcomeTable] = dict(tables)
        self.rows: Mapping[str, Sequence[Row]] = found
        self.measures: Mapping[str, Measure] = known
        self._own, self._everywhere = tuple(notes), tuple(_everywhere(self.tables_of_outcomes))
        self.notes: Sequence[str] = (*self._own, *self._everywhere)

    def __str__(self) -> str:
        """All tables, in Markdown."""
        return self.to_markdown()

    def records(self) -> list[dict[str, Any]]:
        """Return a dictionary per row: the model, and the fields of `Row`."""
        return [{"model": model, **asdict(row)} for model, rows in self.rows.items() for row in rows]

    def to_polars(self) -> "polars.DataFrame":
        """Return the rows as a polars data frame."""
        import polars

        return polars.DataFrame(self.records(), infer_schema_length=None)

    def to_pandas(self) -> "pandas.DataFrame":
        """Return the rows as a pandas data frame; pandas must be installed."""
        import pandas

        return pandas.DataFrame(self.records())

    @checked
    def to_csv(self, path: Location) -> None:
        """Write the rows to a CSV file, atomically; texts that a spreadsheet would run get a `'` in front."""
        write_whole(Path(path), csv(self.to_polars()))

    @checked
    def tables(self, measure: str | None = None, *, each_severity: bool = False) -> list[Grid]:
        """Return tables of all measures, with the models side by side, and a table of the differences between them.

        Args:
            measure: The accuracy that is shown in full; None takes the first.
            each_severity: Whether to show one line per severity if there are several models.

        Raises:
            InputError: If there is no such measure.
        """
        known = [each.name for each in self.measures.values() if each.topic == ACCURACY and each.name not in MEASURES]
        if measure is not None and measure not in known:
            raise InputError(f"Results: measure must be one of {', '.join(known) or 'none'}, got {brief(measure)}.")
        found = tables(
            self.rows,
            self.measures,
            outcomes=self.tables_of_outcomes,
            measure=measure,
            each_severity=each_severity,
            notes=self._own,
            everywhere=self._everywhere,
        )
        differences = differences_table(self.tables_of_outcomes, notes=self._everywhere)
        return found if differences is None else [*found, differences]

    @checked
    def to_markdown(self, measure: str | None = None, *, each_severity: bool = False) -> str:
        """Return all tables in Markdown, with their titles and notes."""
        return "\n".join(map(markdown, self.tables(measure, each_severity=each_severity)))

    def outcomes(self) -> "polars.DataFrame":
        """Return the outcomes of all samples: one line per model, condition and sample."""
        import polars

        parts = []
        for model, table in self.tables_of_outcomes.items():
            for own in table.conditions:
                about = {"model": polars.lit(model), "condition": polars.lit(own.condition)}
                frame = table.frame(own)
                parts.append(frame.select(*(each.alias(name) for name, each in about.items()), *frame.columns))
        return polars.concat(parts, how="diagonal_relaxed")

    def samples(self) -> "polars.DataFrame":
        """Return a line per model and sample: its predictions under every condition, and where it first fails.

        `breaks: fog` is the lowest severity at which the sample is misclassified, `breaks: linf, PGD-40` the smallest
        radius, `fog below 50 %: breaks` the lowest severity that a threshold tried; null if it never is. Samples that
        are misclassified under the most conditions come first.
        """
        import polars

        parts = [sample_table(table, model=model) for model, table in self.tables_of_outcomes.items()]
        return polars.concat(parts, how="diagonal_relaxed")

    @checked
    def to_samples(self, path: Location) -> None:
        """Write `samples()` to a CSV file, atomically."""
        write_whole(Path(path), csv(self.samples()))

    @checked
    def compare(self, baseline: str | None = None) -> "polars.DataFrame":
        """Return how every other model differs from a baseline on the same samples, with intervals and p-values.

        Args:
            baseline: Name of a model; None takes the first.

        Returns:
            One line per model and condition for which both models have an accuracy (including worst-case accuracy),
            with the fields of `Comparison`, and `doubt`: why one of the two values is not trustworthy (empty if nothing
            is known against them). The condition `corruptions` is the mean over the cells that both models have.

        Raises:
            InputError: If there is no such model, or the models were not evaluated on the same samples.
        """
        return compare_tables(self.tables_of_outcomes, baseline=baseline)

    @checked
    def by(
        self,
        column: str = "label",
        measure: str | None = None,
        *,
        condition: str | None = None,
        frame: "polars.DataFrame | None" = None,
    ) -> "polars.DataFrame":
        """Return a measure for each group of samples, with intervals.

        Args:
            column: Column whose values define the groups: `label` (the class), or a column of `frame`.
            measure: Its name; None takes the first primary one.
            condition: Name of a condition; None takes all that have the measure.
            frame: Data frame with additional columns of the samples, and with `identifier` or `number`.

        Returns:
            One line per model, condition and group, with the column, `value`, `count`, `low` and `high`.

        Raises:
            InputError: If there is no such measure, condition or column.
        """
        import polars

        if not isinstance(frame, polars.DataFrame | None):
            came = type(frame).__name__
            raise InputError(f"Results.by: frame must be a data frame of polars, got {came}; try polars.from_pandas.")
        chosen = self._measure(measure)
        parts = []
        for model, table in self.tables_of_outcomes.items():
            for own in table.conditions:
                if chosen.name not in [each.name for each in own.measures] or condition not in (None, own.condition):
                    continue
                outcomes = table.frame(own)
                if chosen.column not in outcomes.columns:
                    continue
                found = by_group(outcomes, chosen, column, about=frame)
                if column == "label" and (frame is None or "label" not in frame.columns):
                    names = polars.Series(told_apart(table.classes), dtype=polars.String)
                    found = found.with_columns(label=names.gather(found["label"]))
                about = [polars.lit(model).alias("model"), polars.lit(own.condition).alias("condition")]
                parts.append(found.select(*about, *found.columns))
        if not parts:
            raise InputError(f"Results: expected a condition with {chosen.name}, got {condition or 'none'}.")
        return polars.concat(parts, how="vertical_relaxed")

    @checked
    def report(self, path: Location) -> Path:
        """Write a report with all tables and figures, and return the path of its page.

        Mistakes are taken from the outcomes in memory and have no pictures; reports on folders show pictures.

        Args:
            path: Folder of the report.
        """
        from withstand.reports.figures.pictures import pictures
        from withstand.reports.report_folder import write_report
        from withstand.study.study import Study

        if str(path) == "":
            raise InputError("Results.report: path must be a folder, got ''.")
        return write_report(Study.of_results(self), Path(path), pictures=pictures).page

    def _measure(self, name: str | None) -> Measure:
        """Return a measure that outcomes of a group can be reduced to."""
        known = {
            each.name: each
            for table in self.tables_of_outcomes.values()
            for own in table.conditions
            for each in own.measures
            if each.reduction in REDUCTIONS
        }
        if name is None and known:
            return next((each for each in known.values() if each.primary), next(iter(known.values())))
        if name not in known:
            raise InputError(f"Results: measure must be one of {', '.join(known) or 'none'}, got {brief(name)}.")
        return known[name]


def _everywhere(outcomes: Mapping[str, OutcomeTable]) -> list[str]:
    """Return the notes of conditions, and a sentence for each under which outputs were not finite."""
    unfinished = [
        f"{model} under {name}: {wrong:,} of {count:,} outputs are not finite (NaN or infinity) and count as wrong."
        for model, table in outcomes.items()
        for name, (wrong, count) in table.unfinished().items()
    ]
    said: dict[tuple[str, str], list[str]] = {}
    for model, table in outcomes.items():
        for own in table.conditions:
            for note in own.notes:
                said.setdefault((model, note.text), []).append(own.condition)
    own = [f"{model} under {' and '.join(conditions)}: {note}" for (model, note), conditions in said.items()]
    return [*unfinished, *own]
