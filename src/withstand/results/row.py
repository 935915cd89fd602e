"""Row: one line of results. Sums and counts are stored, means are derived."""

import json
import math
import os
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from withstand.errors import InputError, TrainingError


@dataclass(frozen=True, kw_only=True)
class Row:
    """One measure under one condition.

    Attributes:
        measure: What was measured, e.g. `top1`.
        condition: Under what, e.g. `clean` or `gaussian_noise/3`.
        total: Sum over the samples.
        count: Number of samples.

    Example:
        >>> Row(measure="top1", condition="clean", total=90.0, count=100).value
        0.9
    """

    measure: str
    condition: str
    total: float
    count: int

    @property
    def value(self) -> float:
        """The mean: a fraction for accuracies."""
        return self.total / self.count


def add(rows: Sequence[Row], more: Sequence[Row]) -> list[Row]:
    """Return the rows of two sets of samples together: same measures and conditions, in the same order.

    Example:
        >>> row = Row(measure="top1", condition="clean", total=9.0, count=10)
        >>> add([row], [row])
        [Row(measure='top1', condition='clean', total=18.0, count=20)]
    """
    sums = []
    for one, other in zip(rows, more, strict=True):
        assert (one.measure, one.condition) == (other.measure, other.condition)
        sums.append(replace(one, total=one.total + other.total, count=one.count + other.count))
    return sums


def write_rows(path: Path, rows: Iterable[Row]) -> None:
    """Write rows, one JSON object a line, so that the file is there whole or not at all.

    Raises:
        TrainingError: If a total is not finite or a count is not positive.
    """
    lines = []
    for row in rows:
        if not math.isfinite(row.total) or row.count < 1:
            raise TrainingError(f"results: {row.measure} under {row.condition} is {row.total} of {row.count} samples.")
        lines.append(json.dumps(asdict(row)) + "\n")
    write_whole(path, "".join(lines).encode())


def read_rows(path: Path) -> list[Row]:
    """Read what `write_rows` wrote.

    Raises:
        InputError: If a line is not a row; the message names file and line.
    """
    return [Row(**each) for each in read_values(path)]


def read_values(path: Path) -> list[dict[str, Any]]:
    """Return the fields of every row of a file; faster than rows.

    Raises:
        InputError: If a line is not a row; the message names file and line.
    """
    found: list[dict[str, Any]] = []
    for number, line in enumerate(path.read_bytes().splitlines(), start=1):
        try:
            found.append(_parsed(line))
        except (ValueError, TypeError, KeyError, OverflowError, RecursionError) as problem:
            raise InputError(f"results: line {number} of {path} is not a row.") from problem
    if not found:
        raise InputError(f"results: {path} has no rows.")
    return found


def _parsed(line: bytes) -> dict[str, Any]:
    """Return the fields of a row; what is no row raises one of several errors."""
    values = json.loads(line)
    total, count = values["total"], values["count"]
    texts = isinstance(values["measure"], str) and isinstance(values["condition"], str)
    if type(total) not in (int, float) or not math.isfinite(total) or type(count) is not int or count < 1:
        raise ValueError("not a finite total of a positive number of samples")
    if not texts or values.keys() != Row.__dataclass_fields__.keys():
        raise ValueError("not the fields of a row")
    return values


def write_whole(path: Path, content: bytes, *, settle: bool = True) -> None:
    """Write a file through a temporary one in the same folder, synced and renamed: whole or not at all.

    Args:
        path: Of the file; folders that are missing are made.
        content: Of the file.
        settle: Whether its name must survive a loss of power from now on; False leaves that to the next file of the
            folder that is written with True, which saves a wait for the disk.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(path.name + ".tmp")
    with temporary.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    if settle:
        sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make renames in a folder survive a loss of power, where the system can."""
    if os.name == "posix":
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
