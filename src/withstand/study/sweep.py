"""Plan of a sweep, in its folder: which run has which values, so that missing runs are reported."""

import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Any

from withstand.errors import InputError
from withstand.files import write_whole
from withstand.study.records import read_record

PLAN, FAILED = "sweep.json", "failed.json"
THEN = "run the sweep again in another folder, or remove the file: the sweep then writes it again"
IDENTITY = re.compile(r"(?<=.)-[0-9a-f]+$")


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One combination of values and one seed.

    Attributes:
        labels: Value by axis.
        seed: Seed of the run.
        run: Name of the run's folder, within that of the sweep.
    """

    labels: dict[str, Any]
    seed: int
    run: str

    def __post_init__(self) -> None:
        """Refuse a folder outside of the sweep, which a forged plan may name."""
        if PurePosixPath(self.run).is_absolute() or ".." in PurePosixPath(self.run).parts:
            raise InputError(f"sweep: run must be a folder within that of the sweep, got {self.run!r}.")


@dataclass(frozen=True, kw_only=True)
class _Plan:
    """The content of `sweep.json`."""

    entries: tuple[Entry, ...]
    command: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class _Failure:
    """The content of the file of a failed run."""

    problem: str


def write_entries(folder: Path, entries: Sequence[Entry], *, command: Sequence[str]) -> None:
    """Write the plan into a sweep's folder, and the command that made it."""
    content = {"command": list(command), "entries": [asdict(each) for each in entries]}
    write_whole(folder / PLAN, (json.dumps(content, indent=1) + "\n").encode())


def read_entries(folder: Path) -> tuple[Entry, ...]:
    """Return the plan of a sweep.

    Raises:
        InputError: If the file is not a plan.
    """
    return _plan(folder / PLAN).entries


def read_command(folder: Path) -> tuple[str, ...]:
    """Return the command that made the plan of a sweep; empty if there is no plan.

    Raises:
        InputError: If the file is not a plan.
    """
    return _plan(folder / PLAN).command if (folder / PLAN).exists() else ()


def _plan(path: Path) -> _Plan:
    """Return the content of a plan; cached, since a report reads it once per combination."""
    try:
        about = path.stat()
    except OSError:
        return read_record(path, _Plan, then=THEN)
    return _plan_at(path, about.st_mtime_ns, about.st_size, about.st_ino)


@lru_cache(maxsize=4)
def _plan_at(path: Path, *_state: int) -> _Plan:
    return read_record(path, _Plan, then=THEN)


def write_failure(folder: Path, sentence: str, trace: str) -> None:
    """Write why a run failed into its folder."""
    write_whole(folder / FAILED, (json.dumps({"problem": sentence, "traceback": trace}, indent=1) + "\n").encode())


def read_failure(folder: Path) -> str | None:
    """Return why a run failed, or that the record is damaged; None if there is no record."""
    path = folder / FAILED
    try:
        return read_record(path, _Failure, then="it is written again with the next attempt").problem
    except InputError as problem:
        return str(problem) if path.exists() else None


def short_name(run: Path) -> str:
    """Return the name of a run's folder without the identity.

    Example:
        >>> short_name(Path("runs/plain-dc3dcc6f425cbd3f")), short_name(Path("runs/final-model"))
        ('plain', 'final-model')
    """
    return IDENTITY.sub("", run.resolve().name)
