"""Study: everything that is known of the runs under a folder, ready to be shown."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from withstand.study.aggregate import aggregate
from withstand.study.axes import words_of
from withstand.study.runs import axes_of, read, unplanned_under

if TYPE_CHECKING:
    import polars

MOST_RUNS = 5  # that a sentence names


@dataclass(frozen=True, kw_only=True)
class Study:
    """The runs under a folder.

    Attributes:
        folder: Where they lie.
        frame: A line per run and row, as `read` returns it.
        summary: A line per combination of values, measure and condition, as `aggregate` returns it.
    """

    folder: Path
    frame: "polars.DataFrame"
    summary: "polars.DataFrame"

    @classmethod
    def of(cls, folder: str | Path) -> "Study":
        """Read everything under a folder.

        Raises:
            InputError: If there is no run, or a file cannot be read.
        """
        frame = read(folder)
        return cls(folder=Path(folder), frame=frame, summary=aggregate(frame))

    @property
    def axes(self) -> list[str]:
        """Names of what was varied."""
        return axes_of(self.frame)

    @property
    def numeric_axes(self) -> list[str]:
        """Those of the axes on which every run has a number, of two or more: what figures run along."""
        numeric = [name for name in self.axes if self.frame.schema[name].is_numeric()]
        return [name for name in numeric if not self.frame[name].has_nulls() and self.frame[name].n_unique() > 1]

    @property
    def holes(self) -> list[str]:
        """A sentence for every combination of which runs are missing or failed."""
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
                sentences.append(f"{name_of(own)}: {done}, without seed{plural} {seeds}{why}")
        return sentences

    @property
    def unplanned(self) -> list[str]:
        """A sentence about the runs that lie in the folder of a sweep and are not in its plan, if there are any."""
        runs = unplanned_under(self.folder)
        if not runs:
            return []
        more = f" and {len(runs) - MOST_RUNS} more" if len(runs) > MOST_RUNS else ""
        which = "1 run that is" if len(runs) == 1 else f"{len(runs)} runs that are"
        return [f"Left out: {which} in the sweep's folder, but not in its plan: {', '.join(runs[:MOST_RUNS])}{more}"]


def name_of(labels: Mapping[str, Any]) -> str:
    """Return a short name for a combination of values.

    Example:
        >>> name_of({"method": "smoothed", "objective.temperature": 0.01, "depth": None})
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
