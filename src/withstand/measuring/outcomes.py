"""Outcomes on disk: written in parts during a measurement, merged at its end."""

import io
import json
import re
import shutil
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from withstand.configuration import identity
from withstand.data.base import Split
from withstand.errors import InputError
from withstand.evaluation.base import Outcomes
from withstand.evaluation.loop import Block, joined
from withstand.files import write_whole
from withstand.study.measures.outcomes import ABOUT, FORMAT, SAMPLES, ConditionOutcomes, OutcomeTable, read_parquet

if TYPE_CHECKING:
    import polars

NOT_FINITE = -1
PARTS = "parts"


class Parts:
    """Parts of a running measurement in a folder, from which it resumes."""

    def __init__(self, folder: Path | None, conditions: Sequence[str], *, seconds: float, writes: bool) -> None:
        """Find existing parts.

        Args:
            folder: Folder of these parts only; None keeps everything in memory.
            conditions: Measured together, in this order.
            seconds: Minimum time between parts after the first.
            writes: Whether this process writes.
        """
        self.folder, self.conditions, self.seconds, self.writes = folder, list(conditions), seconds, writes
        self.waiting: list[Block] = []
        self.latest = -float("inf")
        self.done = 0
        for stop, _ in self._files():
            self.done = stop

    def add(self, block: Block) -> None:
        """Add a block; write a part if it is time."""
        self.waiting.append(block)
        if self.folder is not None and time.monotonic() - self.latest >= self.seconds:
            self.flush()

    def flush(self) -> None:
        """Write waiting blocks as a part."""
        if self.folder is None or not self.waiting:
            return
        if self.writes:
            stop = self.waiting[-1].stop
            write_whole(self.folder / f"{self.done:09d}-{stop:09d}.parquet", _bytes(self._frame(joined(self.waiting))))
        self.done, self.waiting, self.latest = self.waiting[-1].stop, [], time.monotonic()

    def frames(self) -> "tuple[polars.DataFrame, dict[str, polars.DataFrame]]":
        """Return all samples (number, label), and the outcomes by condition."""
        import polars

        self.flush()
        parts = [read_parquet(path) for _, path in self._files()]
        parts += [self._frame(joined(self.waiting))] if self.waiting or not parts else []
        # A part without readable samples has no columns of conditions.
        whole = polars.concat([each for each in parts if len(each)] or parts[:1]).sort("number")
        found = {}
        for place, condition in enumerate(self.conditions):
            names = {name: name.partition(":")[2] for name in whole.columns if name.startswith(f"{place}:")}
            own = whole.select("number", *names).rename(names)
            if "prediction" in own.columns:
                answer = polars.col("prediction")
                own = own.with_columns(polars.when(answer != NOT_FINITE).then(answer).alias("prediction"))
            found[condition] = own
        return whole.select("number", "label"), found

    def remove(self) -> None:
        """Remove the files, after their content is merged."""
        if self.folder is not None and self.writes:
            shutil.rmtree(self.folder, ignore_errors=True)
            if self.folder.parent.is_dir() and not any(self.folder.parent.iterdir()):
                self.folder.parent.rmdir()

    def _files(self) -> list[tuple[int, Path]]:
        """Return the contiguous parts from the first sample on, each with its end."""
        found: list[tuple[int, Path]] = []
        done = 0
        for path in sorted(self.folder.glob("*-*.parquet")) if self.folder is not None else ():
            start, stop = map(int, path.stem.split("-"))
            if start == done:
                found.append((stop, path))
                done = stop
        return found

    def _frame(self, outcomes: Outcomes) -> "polars.DataFrame":
        """Return outcomes as a line per sample; column names start with the condition's number: `0:correct`."""
        import polars

        columns = {
            f"{place}:{name}": values
            for place, condition in enumerate(self.conditions)
            for name, values in outcomes.columns.get(condition, {}).items()
        }
        found = {"number": outcomes.number.numpy().astype("uint32"), "label": outcomes.label.int().numpy()}
        return polars.DataFrame(found | {name: values.numpy() for name, values in columns.items()})


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
        if folder is not None and (folder / ABOUT).is_file():
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
                    f"outcomes: expected {name} {value}, found {getattr(self.table, name)} in {self.folder}; remove "
                    "the folder and evaluate again."
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
            write_whole(self.folder / SAMPLES, _bytes(samples), settle=False)
            for each in found:
                write_whole(self._file(each), _bytes(each.frame), settle=False)
            found = [replace(each, columns=self._file(each)) for each in found]
        others = tuple(each for each in self.table.conditions if each.condition not in names)
        added = tuple(replace(each, source=source, evaluation=_as_read(each.evaluation)) for each in found)
        self.table = replace(self.table, samples=samples, conditions=others + added)
        if self.folder is not None:
            write_whole(self.folder / ABOUT, (json.dumps(self._about(), indent=1) + "\n").encode())
            kept = {each.columns for each in self.table.conditions if isinstance(each.columns, Path)}
            for path in self.folder.glob("*.parquet"):
                if path.name != SAMPLES and path not in kept:
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
                "notes": list(each.notes),
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


def _bytes(frame: "polars.DataFrame") -> bytes:
    buffer = io.BytesIO()
    frame.write_parquet(buffer, compression="zstd")
    return buffer.getvalue()


def _as_read(plain: Any) -> Any:
    """Return a plain value as it is read from JSON."""
    return json.loads(json.dumps(plain))
