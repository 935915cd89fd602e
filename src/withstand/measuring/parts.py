"""Parts of a measurement under way, on disk: it resumes after the last one."""

import io
import re
import time
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from withstand.evaluation.base import Outcomes
from withstand.evaluation.loop import Block, joined
from withstand.files import remove_folder, write_whole
from withstand.study.measures.outcome_files import read_parquet

if TYPE_CHECKING:
    import polars

NOT_FINITE = -1
PARTS = "parts"
PART = re.compile(r"(\d{9,12})-(\d{9,12})\.parquet")


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

    def of_pass(self, turn: int, conditions: Sequence[str]) -> "Parts":
        """Return the parts of a later pass over the same samples, which are removed together with these."""
        folder = None if self.folder is None else self.folder / f"pass-{turn}"
        return Parts(folder, conditions, seconds=self.seconds, writes=self.writes)

    def missing(self, total: int) -> list[tuple[int, int]]:
        """Return the ranges of samples below `total` that no part holds, each with the one after its last."""
        ends = [(0, 0), *(span for span, _ in self._files()), (total, total)]
        return [(stop, start) for (_, stop), (start, _) in pairwise(ends) if stop < start]

    def add(self, block: Block) -> None:
        """Add a block; write a part if it is time."""
        if self.waiting and self.waiting[-1].stop != block.start:
            self.flush()
        self.waiting.append(block)
        if self.folder is not None and time.monotonic() - self.latest >= self.seconds:
            self.flush()

    def flush(self) -> None:
        """Write waiting blocks as a part."""
        if self.folder is None or not self.waiting:
            return
        if self.writes:
            name = part_name(self.waiting[0].start, self.waiting[-1].stop)
            write_whole(self.folder / name, as_parquet(self._frame(joined(self.waiting))))
        self.waiting, self.latest = [], time.monotonic()

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
            remove_folder(self.folder)
            if self.folder.parent.is_dir() and not any(self.folder.parent.iterdir()):
                self.folder.parent.rmdir()

    def _files(self) -> list[tuple[tuple[int, int], Path]]:
        """Return the parts in order, each with its range of samples; of parts that overlap, the first."""
        found: list[tuple[tuple[int, int], Path]] = []
        done = 0
        for path in sorted(self.folder.glob("*-*.parquet")) if self.folder is not None else ():
            name = PART.fullmatch(path.name)
            start, stop = map(int, name.groups()) if name else (-1, -1)
            if start >= done and stop > start:
                found.append(((start, stop), path))
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


def part_name(start: int, stop: int) -> str:
    """Return the name of the file with the outcomes of samples start to stop - 1."""
    return f"{start:09d}-{stop:09d}.parquet"


def as_parquet(frame: "polars.DataFrame") -> bytes:
    """Return a frame as the content of a Parquet file."""
    buffer = io.BytesIO()
    frame.write_parquet(buffer, compression="zstd")
    return buffer.getvalue()
