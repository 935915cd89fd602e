"""Plan of a sweep, in its folder: which run has which values, so that missing runs are reported."""

import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from withstand.errors import InputError
from withstand.files import write_whole

PLAN, FAILED = "sweep.json", "failed.json"
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


def write_entries(folder: Path, entries: Sequence[Entry], *, command: Sequence[str]) -> None:
    """Write the plan into a sweep's folder, and the command that made it."""
    content = {"command": list(command), "entries": [asdict(each) for each in entries]}
    write_whole(folder / PLAN, (json.dumps(content, indent=1) + "\n").encode())


def read_entries(folder: Path) -> tuple[Entry, ...]:
    """Return the plan of a sweep.

    Raises:
        InputError: If the file is not a plan.
    """
    path = folder / PLAN
    try:
        found = tuple(Entry(**each) for each in json.loads(path.read_text())["entries"])
        if not all(type(each.labels) is dict and type(each.seed) is int and type(each.run) is str for each in found):
            raise TypeError("an entry holds something else")
        return found
    except (ValueError, KeyError, TypeError) as problem:
        raise InputError(f"results: {path} is not the plan of a sweep.") from problem


def write_failure(folder: Path, sentence: str, trace: str) -> None:
    """Write why a run failed into its folder."""
    write_whole(folder / FAILED, (json.dumps({"problem": sentence, "traceback": trace}, indent=1) + "\n").encode())


def read_failure(folder: Path) -> str | None:
    """Return why a run failed, or None if nothing is known of it."""
    try:
        return str(json.loads((folder / FAILED).read_text())["problem"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def short_name(run: Path) -> str:
    """Return the name of a run's folder without the identity.

    Example:
        >>> short_name(Path("runs/plain-dc3dcc6f425cbd3f")), short_name(Path("runs/final-model"))
        ('plain', 'final-model')
    """
    return IDENTITY.sub("", run.resolve().name)
