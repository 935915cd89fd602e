"""The outcomes of a model, on disk or in memory."""

import json
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from withstand.configuration import identity
from withstand.data.base import Split
from withstand.errors import InputError
from withstand.files import check_no_link, write_whole
from withstand.measuring.parts import PARTS, Parts, as_parquet
from withstand.study.measures.outcome_files import ABOUT, FORMAT, SAMPLES
from withstand.study.measures.outcomes import ConditionOutcomes, OutcomeTable

if TYPE_CHECKING:
    import polars

OWN = re.compile(r"-[0-9a-f]{16}\.parquet$")  # names of the files of conditions


class Kept:
    """The outcomes of one model, in a folder or in memory."""

    def __init__(
        self, folder: Path | None, *, data: str, seed: int, classes: Sequence[str], shape: Sequence[int]
    ) -> None:
        """Read existing outcomes.

        Args:
            folder: Folder of the outcomes; None keeps them in memory.
            data: Name of the data set.
            seed: Seed of every draw.
            classes: Names of the classes.
            shape: Shape of an input.

        Raises:
            InputError: If the folder holds something else.
        """
        import polars

        self.folder = folder
        for each in () if folder is None else (folder, folder / PARTS):
            check_no_link(each)
        if folder is not None and (folder / ABOUT).exists():
            self.table = OutcomeTable.read(folder)
            self._check(data=data, seed=seed, classes=tuple(classes), shape=tuple(shape))
            return
        kinds = {"source": polars.String, "number": polars.UInt32, "label": polars.Int32, "identifier": polars.String}
        self.table = OutcomeTable(
            samples=polars.DataFrame(schema=kinds),
            classes=tuple(classes),
            conditions=(),
            shape=tuple(shape),
            data=data,
            seed=seed,
        )

    def _check(self, **wanted: Any) -> None:
        for name, value in wanted.items():
            if getattr(self.table, name) != value:
                raise InputError(
                    f"outcomes: expected {name} {value}, found {getattr(self.table, name)} in "
                    f"{self.folder / ABOUT if self.folder else 'memory'}; remove the folder and evaluate again."
                )

    def has(self, condition: str, evaluation: Any) -> bool:
        """Return whether a condition was measured by the same evaluation, given in its plain form."""
        plain = _as_read(evaluation)
        return any((each.condition, each.evaluation) == (condition, plain) for each in self.table.conditions)

    def parts(self, what: Any, conditions: Sequence[str], *, seconds: float, writes: bool) -> Parts:
        """Return the parts of a measurement, identified by its plain form."""
        folder = None if self.folder is None else self.folder / PARTS / identity(_as_read(what))
        return Parts(folder, conditions, seconds=seconds, writes=writes)

    def add(self, found: Sequence[ConditionOutcomes], samples: "polars.DataFrame", *, source: str) -> None:
        """Add the outcomes of some conditions, which replace older ones of the same name.

        The list of all conditions is written last, so a killed process leaves the old state.

        Args:
            found: With their frames.
            samples: With the columns number, label and identifier.
            source: Name of the samples, unless they are those of other conditions.
        """
        source, samples = self._placed(samples, source)
        names = {each.condition for each in found}
        if self.folder is not None:
            write_whole(self.folder / SAMPLES, as_parquet(samples), settle=False)
            for each in found:
                write_whole(self._file(each), as_parquet(each.frame), settle=False)
            found = [replace(each, columns=self._file(each)) for each in found]
        others = tuple(each for each in self.table.conditions if each.condition not in names)
        added = tuple(replace(each, source=source, evaluation=_as_read(each.evaluation)) for each in found)
        self.table = replace(self.table, samples=samples, conditions=others + added)
        if self.folder is not None:
            write_whole(self.folder / ABOUT, (json.dumps(self._about(), indent=1) + "\n").encode())
            kept = {each.columns for each in self.table.conditions if isinstance(each.columns, Path)}
            for path in self.folder.glob("*.parquet"):
                if OWN.search(path.name) and path not in kept:
                    path.unlink()  # of an older measurement under the same name

    def _placed(self, samples: "polars.DataFrame", source: str) -> "tuple[str, polars.DataFrame]":
        """Return the source that samples belong to, and the samples of all sources."""
        import polars

        known = self.table.samples
        for (name,), own in known.partition_by("source", as_dict=True, include_key=False).items():
            if own.sort("number").equals(samples.sort("number")):
                return str(name), known
            if name == source:  # the same samples, fewer of them readable
                known = known.filter(known["source"] != source)
                samples = polars.concat([own, samples]).unique("number", keep="last").sort("number")
        source = source if len(known) else ""
        named = samples.select(polars.lit(source).alias("source"), "number", "label", "identifier")
        return source, polars.concat([known, named])

    def _file(self, found: ConditionOutcomes) -> Path:
        assert self.folder is not None
        name = re.sub(r"[^a-z0-9]+", "-", found.condition.lower()).strip("-")[:60]
        return self.folder / f"{name}-{identity([found.condition, _as_read(found.evaluation)])}.parquet"

    def _about(self) -> dict[str, Any]:
        table = self.table
        conditions = [
            {
                "condition": each.condition,
                "file": each.columns.name,
                "source": each.source,
                "evaluation": each.evaluation,
                "measures": [measure.plain() for measure in each.measures],
                "numbers": dict(each.numbers),
                "notes": [note._asdict() for note in each.notes],
            }
            for each in table.conditions
            if isinstance(each.columns, Path)
        ]
        about = {"format": FORMAT, "data": table.data, "seed": table.seed}
        return about | {"classes": table.classes, "shape": table.shape, "conditions": conditions}


def sample_frame(samples: "polars.DataFrame", split: Split) -> "polars.DataFrame":
    """Return samples (number, label) with their identifiers."""
    import polars

    known = split.identifiers()
    names = None if known is None else [known[number] for number in samples["number"].to_list()]
    identifier = polars.Series("identifier", names or [None] * len(samples), dtype=polars.String)
    return samples.select(polars.col("number"), polars.col("label").cast(polars.Int32), identifier)


def _as_read(plain: Any) -> Any:
    """Return a plain value as it is read from JSON."""
    return json.loads(json.dumps(plain))
