"""Study: everything that is known of the runs under a folder, ready to be shown."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from withstand.conditions import CLEAN
from withstand.errors import InputError, brief
from withstand.limits import Location, checked
from withstand.study.aggregate import aggregate
from withstand.study.axes import words_of
from withstand.study.contents import CONFIG, OUTCOMES, evaluations_of, spared
from withstand.study.measures.cells import with_comparable_means
from withstand.study.measures.measure import ACCURACY, Measure
from withstand.study.measures.outcome_files import ABOUT
from withstand.study.measures.outcomes import OutcomeTable
from withstand.study.measures.row import Row
from withstand.study.runs import Gathered, axes_of, gather, gather_rows, unplanned_under
from withstand.study.sweep import short_name

if TYPE_CHECKING:
    import polars

MOST_RUNS = 5  # that a sentence names


@runtime_checkable
class ResultRows(Protocol):
    """The result of an evaluation from Python, as far as a study needs it."""

    @property
    def tables_of_outcomes(self) -> Mapping[str, OutcomeTable]:
        """The outcomes of every model."""
        ...

    @property
    def rows(self) -> Mapping[str, Sequence[Row]]:
        """The numbers of every model."""
        ...

    @property
    def measures(self) -> Mapping[str, Measure]:
        """Measures of the rows, by name."""
        ...

    @property
    def notes(self) -> Sequence[str]:
        """Sentences about how it was measured."""
        ...


@dataclass(frozen=True, kw_only=True)
class Study:
    """The runs under a folder, or the results of an evaluation from Python.

    Attributes:
        folder: Folder of the runs; None if they are only in memory.
        frame: A line per run and row, as `read` returns it, without means over corruptions that cannot be compared.
        summary: A line per combination of values, measure and condition, as `aggregate` returns it.
        measures: Measures by name, in the order of declaration.
        notes: Sentences about how a run was measured, by run.
        conflicts: Names of measures that files declare differently.
        tables: Outcomes in memory, by run; those in a folder are read when needed.
        damaged: Sentences about files that cannot be read and are left out, as keys; those that are read later are
            added.
    """

    folder: Path | None
    frame: "polars.DataFrame"
    summary: "polars.DataFrame"
    measures: dict[str, Measure]
    notes: dict[str, tuple[str, ...]] = field(default_factory=dict)
    conflicts: tuple[str, ...] = ()
    tables: Mapping[str, OutcomeTable] = field(default_factory=dict, repr=False)
    damaged: dict[str, None] = field(default_factory=dict, repr=False)
    _sound: dict[str, bool] = field(default_factory=dict, repr=False)  # whether a run's outcomes can be used

    @classmethod
    @checked
    def of(cls, folder: Location) -> "Study":
        """Read everything under a folder.

        Raises:
            InputError: If there is no run, or none can be read.
        """
        return cls._of(gather(folder), folder=Path(folder))

    @classmethod
    @checked
    def of_results(cls, results: ResultRows) -> "Study":
        """Return the results of an evaluation as a study: a run per model, in memory."""
        found = gather_rows(results.rows, results.measures, results.notes)
        return cls._of(found, folder=None, tables=results.tables_of_outcomes)

    @classmethod
    def _of(cls, found: Gathered, **fields: Any) -> "Study":
        frame = with_comparable_means(found.frame)
        return cls(
            frame=frame,
            summary=aggregate(frame),
            measures=found.measures,
            notes=found.notes,
            conflicts=found.conflicts,
            damaged=dict.fromkeys(found.damaged),
            **fields,
        )

    @property
    def name(self) -> str:
        """Name of the folder; of a single run without its identity."""
        if self.folder is None:
            return "evaluation"
        return short_name(self.folder) if (self.folder / CONFIG).exists() else self.folder.resolve().name

    @checked
    def led_by(self, labels: Mapping[str, Any]) -> "Study":
        """Return the same study with the combinations that have some values first.

        Raises:
            InputError: If a name is not a column.
        """
        import polars

        for name in labels:
            if name not in self.frame.columns:
                raise InputError(f"Study.led_by: labels must be columns of the study, got {brief(name)}.")
        own = polars.all_horizontal(*(polars.col(name).eq_missing(value) for name, value in labels.items()))
        first = {name: getattr(self, name).sort(~own, maintain_order=True) for name in ("frame", "summary")}
        return replace(self, **first)

    @checked
    def table_of(self, run: str) -> OutcomeTable | None:
        """Return the outcomes of a run (of its evaluation with the most conditions), or None.

        Outcomes that are damaged are left out.
        """
        if self.folder is None:
            return self.tables.get(run)
        folders = [each / OUTCOMES for each in evaluations_of(self.folder / run)]
        read = [
            self.spare(lambda each=each: OutcomeTable.read(each), None) for each in folders if (each / ABOUT).exists()
        ]
        found = sorted(reversed([each for each in read if each]), key=lambda each: -len(each.conditions))
        return next((each for each in found if self._is_sound(each)), None)

    @checked
    def spare(self, read: Callable[[], Any], otherwise: Any) -> Any:
        """Return what a function reads; if its file is damaged, add the error to `damaged` and return `otherwise`."""
        return spared(read, otherwise, self.damaged)

    def _is_sound(self, table: OutcomeTable) -> bool:
        """Return whether every file of a table of outcomes can be read; this reads each of them once."""
        key = str(table.folder)
        if key not in self._sound:
            self._sound[key] = self.spare(table.check, False)
        return self._sound[key]

    @property
    def accuracy(self) -> Measure | None:
        """The measure of accuracy: the first one of this topic, preferably primary and on clean inputs."""
        clean = set(self.summary.filter(self.summary["condition"] == CLEAN)["measure"])
        known = [each for each in self.measures.values() if each.topic == ACCURACY]
        return min(known, key=lambda each: (not each.primary, each.name not in clean), default=None)

    @property
    def axes(self) -> list[str]:
        """Names of the settings that were varied."""
        return axes_of(self.frame)

    @property
    def numeric_axes(self) -> list[str]:
        """The axes with two or more values, all of them numbers; used as x-axes of figures."""
        numeric = [name for name in self.axes if self.frame.schema[name].is_numeric()]
        return [name for name in numeric if not self.frame[name].has_nulls() and self.frame[name].n_unique() > 1]

    @cached_property
    def holes(self) -> list[str]:
        """A sentence for every combination with missing or failed runs."""
        sentences = []
        ended = self.frame.select(*self.axes, "seed", "run", "status", "problem").unique(maintain_order=True)
        for labels, runs in ended.group_by(self.axes, maintain_order=True):
            own = dict(zip(self.axes, labels, strict=True))
            wrong = [(line["seed"], line["status"], line["problem"]) for line in runs.iter_rows(named=True)]
            lost = [each for each in wrong if each[1] != "done"]
            if lost:
                seeds = ", ".join(str(seed) for seed, _, _ in lost)
                why = next((f": {problem}" for _, _, problem in lost if problem), "")
                plural = "s" if len(lost) > 1 else ""
                done = f"{len(wrong) - len(lost)}/{len(wrong)} runs"
                sentences.append(f"{name_of(own)}: {done}, missing seed{plural} {seeds}{why}")
        return sentences

    @property
    def unplanned(self) -> list[str]:
        """A sentence about runs in the folder of a sweep that are not in its plan, if there are any."""
        runs = [] if self.folder is None else unplanned_under(self.folder)
        if not runs:
            return []
        more = f" and {len(runs) - MOST_RUNS} more" if len(runs) > MOST_RUNS else ""
        which = "1 run that is" if len(runs) == 1 else f"{len(runs)} runs that are"
        return [f"Left out: {which} in the sweep's folder, but not in its plan: {', '.join(runs[:MOST_RUNS])}{more}"]


def name_of(labels: Mapping[str, Any]) -> str:
    """Return a short name for a combination of values.

    Example:
        >>> name_of({"method": "smoothed", "objective.fold.temperature": 0.01, "depth": None})
        'smoothed, temperature 0.01'
        >>> name_of({"training.patience": None}), name_of({})
        ('no patience', 'all')
    """
    parts = []
    for axis, value in labels.items():
        if isinstance(value, str):
            parts.append(value)
        elif value is not None:
            parts.append(f"{words_of(axis)} {value:g}")
    return ", ".join(parts or [f"no {words_of(axis)}" for axis in labels]) or "all"
