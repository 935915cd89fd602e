"""Provenance that a run, a sweep or an evaluation recorded."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from withstand.files import write_whole

PROVENANCE = "provenance.json"


def read_known(path: Path) -> dict[str, Any]:
    """Return what a JSON file holds; nothing if it is not there or cannot be read: no number depends on it."""
    try:
        found = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def add_command(folder: Path, command: Sequence[str]) -> None:
    """Record a command that measured outcomes in a folder, once, after those recorded before."""
    known = read_known(folder / PROVENANCE)
    commands = known.get("commands", [])
    if list(command) not in commands:
        content = known | {"commands": [*commands, list(command)]}
        write_whole(folder / PROVENANCE, (json.dumps(content, indent=2) + "\n").encode())
