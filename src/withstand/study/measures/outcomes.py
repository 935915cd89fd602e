"""Table of outcomes: one line per sample and condition, and its reduction to rows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from withstand.errors import InputError, brief
from withstand.limits import Location, checked
from withstand.study.measures.measure import BY_CLASS, Measure, joined
from withstand.study.measures.note import Note
from withstand.study.measures.outcome_files import (
    ABOUT,
    KINDS,
    SAMPLE_KINDS,
    SAMPLES,
    measure_again,
    read_about,
    read_parquet,
)
from withstand.study.measures.reductions import reduce_measure
from withstand.study.measures.row import Row, Rows
from withstand.study.records import damaged

if TYPE_CHECKING:
    import numpy as np
    import polars

IMAGE_SUFFIX = r"(?i)\.(?:bmp|gif|jpe?g|pgm|png|ppm|tiff?|webp)$"
LABELLED = (BY_CLASS, "balanced")  # reductions that need the classes of the samples


@dataclass(frozen=True, kw_only=True, eq=False)
class ConditionOutcomes:
    """The outcomes under one condition.

    Attributes:
        condition: Name of the condition, such as `fog/5`.
        measures: Measures to which the outcomes are reduced; those whose column is missing are left out.
        columns: One line per sample, sorted by `number`; or a Parquet file with these columns, which is read when
            needed.
        numbers: Numbers about the model as a whole, by column.
        source: Source of the samples: empty for the ordinary split, or the condition if it has its own files.
        evaluation: Its plain configuration.
        notes: What a reader of these outcomes must know.
    """

    condition: str
    measures: tuple[Measure, ...]
    columns: "polars.DataFrame | Path"
    numbers: Mapping[str, float] = field(default_factory=dict)
    source: str = ""
    evaluation: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[Note, ...] = ()

    def doubt(self, measure: Measure) -> str:
        """Return why a measure is not trustworthy here, in sentences; empty if nothing is known against it.

        Doubts are about measures of kind `attacked`; if the condition has none, about all with a better direction.
        """
        has_attacked = any(each.kind == "attacked" for each in self.measures)
        is_meant = measure.kind == "attacked" if has_attacked else bool(measure.better)
        return " ".join(note.text for note in self.notes if note.is_doubt and is_meant)

    @cached_property
    def frame(self) -> "polars.DataFrame":
        """A line per sample: its number, and what was found of it.

        Raises:
            InputError: If the file is missing or damaged.
        """
        if not isinstance(self.columns, Path):
            return self.columns
        return read_parquet(self.columns, KINDS, needed=("number",))


@dataclass(frozen=True, kw_only=True, eq=False)
class OutcomeTable:
    """The outcomes of one model.

    Attributes:
        samples: One line per sample, with source (String), number, label, and identifier (String or null).
        classes: Names of the classes, by label.
        conditions: Outcomes under each condition.
        shape: Shape of an input.
        data: Name of the data set, e.g. `Digits`.
        seed: Seed of every draw.

    Example:
        >>> import polars
        >>> numbers, labels = polars.Series([0, 1], dtype=polars.UInt32), polars.Series([0, 1], dtype=polars.Int32)
        >>> samples = {"source": "", "number": numbers, "label": labels, "identifier": ["a.png", "b.png"]}
        >>> found = polars.DataFrame({"number": numbers, "correct": [True, False]})
        >>> clean = ConditionOutcomes(
        ...     condition="clean", measures=(Measure(name="top1", column="correct"),), columns=found
        ... )
        >>> table = OutcomeTable(samples=polars.DataFrame(samples), classes=("no", "yes"), conditions=(clean,))
        >>> table.reduce().rows[0].value, table.frame("clean").columns
        (0.5, ['number', 'identifier', 'label', 'correct'])
    """

    samples: "polars.DataFrame"
    classes: tuple[str, ...]
    conditions: tuple[ConditionOutcomes, ...]
    shape: tuple[int, ...] = ()
    data: str = ""
    seed: int = 0

    @classmethod
    @checked
    def read(cls, folder: Location) -> "OutcomeTable":
        """Return the table in a folder; the files of its conditions are read when needed.

        Args:
            folder: Folder that contains `outcomes.json`.

        Raises:
            InputError: If the table is missing or damaged, or has a different format.
        """
        folder = Path(folder)
        about = read_about(folder)
        conditions = tuple(
            ConditionOutcomes(
                condition=each.condition,
                measures=each.measures,
                columns=folder / each.file,
                numbers={name: float(value) for name, value in each.numbers.items()},
                source=each.source,
                evaluation=each.evaluation,
                notes=each.notes,
            )
            for each in about.conditions
        )
        samples = read_parquet(folder / SAMPLES, SAMPLE_KINDS, needed=tuple(SAMPLE_KINDS))
        highest = samples["label"].max()
        if isinstance(highest, int) and highest >= len(about.classes):
            raise damaged(
                folder / ABOUT,
                f"it names {len(about.classes)} classes, and a sample has class {highest}",
                measure_again(folder),
            )
        return cls(
            samples=samples,
            classes=about.classes,
            conditions=conditions,
            shape=about.shape,
            data=about.data,
            seed=about.seed,
        )

    @property
    def folder(self) -> Path | None:
        """Folder of the outcomes; None for a table in memory, or one without conditions."""
        return next((each.columns.parent for each in self.conditions if isinstance(each.columns, Path)), None)

    def check(self) -> bool:
        """Read the file of every condition once, without keeping it, and return True.

        Raises:
            InputError: If a file is damaged, or does not fit the samples and classes.
        """
        for own in self.conditions:
            if not isinstance(own.columns, Path):
                continue
            frame = replace(own).frame
            numbers = self.samples.filter(self.samples["source"] == own.source)["number"]
            if not frame["number"].is_in(numbers.implode()).all():
                raise damaged(own.columns, f"it has samples that {SAMPLES} lacks", measure_again(own.columns.parent))
            highest = frame["prediction"].max() if "prediction" in frame.columns else None
            if isinstance(highest, int) and highest >= len(self.classes):
                raise damaged(
                    own.columns,
                    f"it predicts class {highest} of {len(self.classes)}",
                    measure_again(own.columns.parent),
                )
        return True

    @checked
    def frame(self, condition: str | ConditionOutcomes) -> "polars.DataFrame":
        """Return the outcomes under a condition with the samples' identifiers and labels.

        Args:
            condition: Name of a condition (the first one with this name counts), or one of `conditions`.

        Raises:
            InputError: If there is no such condition.
        """
        own = self.of(condition) if isinstance(condition, str) else condition
        chosen = self.samples.filter(self.samples["source"] == own.source).select("number", "identifier", "label")
        joined = chosen.join(own.frame, on="number", how="right", maintain_order="right")
        return joined.select("number", "identifier", "label", *(each for each in own.frame.columns if each != "number"))

    @checked
    def of(self, condition: str) -> ConditionOutcomes:
        """Return the outcomes under a condition (the first one with this name).

        Raises:
            InputError: If there is no such condition.
        """
        for each in self.conditions:
            if each.condition == condition:
                return each
        known = ", ".join(each.condition for each in self.conditions[:6])
        raise InputError(f"outcomes: expected a condition of the table, such as {known}, got {brief(condition)}.")

    @checked
    def only(self, conditions: Sequence[str]) -> "OutcomeTable":
        """Return the table of some conditions, in the given order; conditions that do not exist are left out."""
        known = {each.condition: each for each in self.conditions}
        return replace(self, conditions=tuple(known[name] for name in conditions if name in known))

    def reduce(self) -> Rows:
        """Return the values of all measures under all conditions, with intervals.

        Rows have the budget of their own condition; a measure has one only if all of its conditions agree. Rows of
        accuracies under attack have the doubts about their condition.

        Raises:
            TrainingError: If a value is not a number.
        """
        rows: dict[tuple[str, str], Row] = {}
        measures: dict[str, Measure] = {}
        for own in self.conditions:
            for measure in own.measures:
                frame = self.frame(own) if measure.reduction in LABELLED else own.frame
                found = reduce_measure(
                    measure, frame, condition=own.condition, classes=self.classes, numbers=own.numbers
                )
                for each, row in found:
                    rows.setdefault((row.measure, row.condition), replace(row, doubt=own.doubt(each)))
                    measures = joined(measures, {each.name: each})
        return Rows(list(rows.values()), measures)

    def places(self, own: ConditionOutcomes) -> "np.ndarray":
        """Return the positions of a condition's samples in an array like `empty()`, in the order of its frame.

        A sample has the same position under all conditions. It is found by its number or, if conditions have their own
        files, by its identifier without the image extension.
        """
        import polars

        keys = self.keys.filter(polars.col("source") == own.source)
        found = own.frame.select("number").join(keys, on="number", how="left", maintain_order="left")["key"]
        if found.has_nulls():
            raise InputError(f"outcomes: {own.condition} has samples that are not in the table; evaluate again.")
        return found.to_numpy()

    def empty(self) -> "np.ndarray":
        """Return zeros, one per sample."""
        import numpy as np

        return np.zeros(int(self.keys["key"].max() or 0) + 1)  # type: ignore[arg-type]

    @cached_property
    def keys(self) -> "polars.DataFrame":
        """One line per source and number, with the sample that it refers to."""
        samples = self.samples.select("source", "number", "identifier")
        if samples["source"].n_unique() > 1 and not samples["identifier"].has_nulls():
            # A copy may be saved in another format; names that differ in nothing else stay apart.
            bare = samples.with_columns(samples["identifier"].str.replace(IMAGE_SUFFIX, ""))
            if not bare.select("source", "identifier").is_duplicated().any():
                samples = bare
            first = samples.select("identifier").unique(maintain_order=True).with_row_index("key")
            return samples.join(first, on="identifier", how="left", maintain_order="left").drop("identifier")
        return samples.select("source", "number", key="number")

    def unfinished(self) -> dict[str, tuple[int, int]]:
        """Return the number of non-finite outputs and of all outputs, for conditions that have non-finite ones."""
        found: dict[str, tuple[int, int]] = {}
        for own in self.conditions:
            if "prediction" in own.frame.columns and (count := own.frame["prediction"].null_count()):
                found.setdefault(own.condition, (count, len(own.frame)))
        return found
