"""The table of outcomes on disk: written part by part while a measurement goes on, merged when it is done."""

import io
import json
import shutil
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from withstand.configuration import identity
from withstand.data.base import Split
from withstand.errors import InputError
from withstand.evaluation.base import Columns, Outcomes
from withstand.evaluation.loop import Block, joined
from withstand.files import write_whole
from withstand.study.outcomes import OUTCOMES, SAMPLES, Condition, OutcomeTable, read_outcomes

if TYPE_CHECKING:
    import polars

SAMPLE = 65535  # stands for a condition in the lines of a part that hold the labels
NOT_FINITE = -1


class Parts:
    """The parts of a measurement that is going on, in a folder; what they hold need not be measured again."""

    def __init__(self, folder: Path | None, conditions: Sequence[str], *, seconds: float, writes: bool) -> None:
        """Look at what is there.

        Args:
            folder: Of these parts alone; None keeps everything in memory.
            conditions: That are measured together, in their order.
            seconds: Least time between two parts, but for the first one.
            writes: Whether this process writes.
        """
        self.folder, self.conditions, self.seconds, self.writes = folder, list(conditions), seconds, writes
        self.waiting: list[Block] = []
        self.latest = -float("inf")
        self.done = 0
        for stop, _ in self._files():
            self.done = stop

    def add(self, block: Block) -> None:
        """Take a block; write a part if it is time."""
        self.waiting.append(block)
        if self.folder is not None and time.monotonic() - self.latest >= self.seconds:
            self.flush()

    def flush(self) -> None:
        """Write what is waiting as a part."""
        if self.folder is None or not self.waiting:
            return
        if self.writes:
            stop = self.waiting[-1].stop
            write_whole(self.folder / f"{self.done:09d}-{stop:09d}.parquet", _bytes(self._frame(joined(self.waiting))))
        self.done, self.waiting, self.latest = self.waiting[-1].stop, [], time.monotonic()

    def frames(self) -> "tuple[polars.DataFrame, dict[str, polars.DataFrame]]":
        """Return the samples (number, label) and the outcomes by condition, of everything there is."""
        import polars

        self.flush()
        parts = [polars.read_parquet(path) for _, path in self._files()]
        parts += [self._frame(joined(self.waiting))] if self.waiting or not parts else []
        whole = polars.concat(parts, how="diagonal_relaxed").sort("condition", "number", maintain_order=True)
        found = whole.partition_by("condition", as_dict=True, include_key=False)
        samples = found.pop((SAMPLE,), whole.clear()).select("number", "label")
        by_condition = {}
        for place, condition in enumerate(self.conditions):
            own = found.get((place,))
            if own is None:
                own = samples.select("number")
            # Columns of other conditions; none of a condition's own holds nulls yet.
            own = own.select(name for name in own.columns if not own[name].is_null().any())
            if "prediction" in own.columns:
                answer = polars.col("prediction")
                own = own.with_columns(polars.when(answer != NOT_FINITE).then(answer).alias("prediction"))
            by_condition[condition] = own
        return samples, by_condition

    def remove(self) -> None:
        """Remove the files, once what they hold is safe elsewhere."""
        if self.folder is not None and self.writes:
            shutil.rmtree(self.folder, ignore_errors=True)
            if self.folder.parent.is_dir() and not any(self.folder.parent.iterdir()):
                self.folder.parent.rmdir()

    def _files(self) -> list[tuple[int, Path]]:
        """Return the parts that follow one another from the first sample on, each with the place behind its last."""
        found: list[tuple[int, Path]] = []
        done = 0
        for path in sorted(self.folder.glob("*-*.parquet")) if self.folder is not None else ():
            start, stop = map(int, path.stem.split("-"))
            if start == done:
                found.append((stop, path))
                done = stop
        return found

    def _frame(self, outcomes: Outcomes) -> "polars.DataFrame":
        """Return outcomes as lines, one per condition and sample, and one per sample."""
        import polars

        frames = [_frame(outcomes.number, {"label": outcomes.label.int()}, SAMPLE)]
        for place, condition in enumerate(self.conditions):
            if columns := outcomes.columns.get(condition):
                frames.append(_frame(outcomes.number, columns, place))
        return polars.concat(frames, how="diagonal_relaxed")


class Kept:
    """The outcomes of one model in a folder."""

    def __init__(self, folder: Path | None, about: Mapping[str, Any]) -> None:
        """Read what is there.

        Args:
            folder: Of the outcomes; None keeps them in memory.
            about: What they are of: data, seed, classes, shape.

        Raises:
            InputError: If the folder holds something else.
        """
        self.folder, self.about = folder, dict(about)
        self.table = OutcomeTable.empty(**self.about)
        if folder is not None and (folder / OUTCOMES).is_file():
            self.table = read_outcomes(folder)
        self.known = {each.condition: each for each in self.table.conditions}

    def has(self, condition: str, evaluation: Any, source: str) -> bool:
        """Return whether a condition was measured by the same evaluation, in its plain form, on the same samples."""
        known = self.known.get(condition)
        return known is not None and (known.evaluation, known.source) == (_as_read(evaluation), source)

    def parts(self, what: Any, conditions: Sequence[str], *, seconds: float, writes: bool) -> Parts:
        """Return the parts of a measurement, which is told from others by its plain form."""
        folder = None if self.folder is None else self.folder / "parts" / identity(_as_read(what))
        return Parts(folder, conditions, seconds=seconds, writes=writes)

    def add(self, found: Sequence[Condition], samples: "polars.DataFrame") -> None:
        """Add the outcomes of some conditions, which take the place of older ones of the same name.

        Args:
            found: With their frames.
            samples: With the columns source, number, label and identifier.
        """
        self.table = self.table.extended(found, samples)
        self.known = {each.condition: each for each in self.table.conditions}

    def write(self, found: Sequence[Condition]) -> None:
        """Write the files of some conditions of the table, then the list of all, which makes them count."""
        assert self.folder is not None
        write_whole(self.folder / SAMPLES, _bytes(self.table.samples), settle=False)
        for each in found:
            write_whole(self.folder / each.file, _bytes(each.frame), settle=False)
        write_whole(self.folder / OUTCOMES, (json.dumps(self.table.plain(), indent=1) + "\n").encode())


def sample_frame(samples: "polars.DataFrame", split: Split, source: str) -> "polars.DataFrame":
    """Return the lines of samples (number, label) with their source and what they are known by."""
    import polars

    known = split.identifiers()
    names = None if known is None else [known[number] for number in samples["number"].to_list()]
    return samples.select(
        polars.lit(source).alias("source"),
        "number",
        "label",
        polars.Series("identifier", names if names is not None else [None] * len(samples), dtype=polars.String),
    )


def _frame(number: Tensor, columns: Columns, condition: int) -> "polars.DataFrame":
    import numpy as np
    import polars

    found = {"condition": np.full(len(number), condition, dtype=np.uint16), "number": number.numpy().astype(np.uint32)}
    for name, values in columns.items():
        if values.dtype == torch.bfloat16 or values.dtype == torch.float16:
            values = values.float()
        found[name] = values.numpy()
        if len(values) != len(number):
            raise InputError(
                f"evaluation: column {name} must hold one value per sample ({len(number)}), got {len(values)}."
            )
    return polars.DataFrame(found)


def _bytes(frame: "polars.DataFrame") -> bytes:
    buffer = io.BytesIO()
    frame.write_parquet(buffer, compression="zstd")
    return buffer.getvalue()


def _as_read(plain: Any) -> Any:
    """Return a plain value as a file gives it back."""
    return json.loads(json.dumps(plain))
