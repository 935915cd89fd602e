"""Provenance that a run, a sweep or an evaluation recorded."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from withstand.files import write_whole
from withstand.study.records import built, read_json, read_record

PROVENANCE = "provenance.json"


@dataclass(frozen=True, kw_only=True)
class Provenance:
    """Where the numbers of a run, a sweep or an evaluation come from; any field may be unknown.

    Attributes:
        identity: Of the configuration.
        foreign: Hash of code from outside the package.
        classes: Names of the classes.
        shape: Shape of an input.
        command: That made it.
        commands: That measured it later.
        started: When, in ISO 8601.
        python: Version of Python.
        platform: Name of the machine's system.
        versions: Version by package.
        operations: What training did to inputs, as its parts declare.
    """

    identity: str = ""
    foreign: str = ""
    classes: tuple[str, ...] = ()
    shape: tuple[int, ...] = ()
    command: tuple[str, ...] = ()
    commands: tuple[tuple[str, ...], ...] = ()
    started: str = ""
    python: str = ""
    platform: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)
    operations: tuple[str, ...] | None = None

    @classmethod
    def read(cls, path: Path) -> "Provenance":
        """Return the provenance in a file; empty if there is no file.

        Raises:
            InputError: If it is damaged.
        """
        return read_record(path, cls, then=THEN) if path.exists() else cls()


THEN = "remove it: no number depends on it, but to evaluate the run again, move its folder away and make it again"


def add_command(folder: Path, command: Sequence[str]) -> None:
    """Record a command that measured outcomes in a folder, once, after those recorded before.

    A damaged record is replaced: no number depends on it.
    """
    path = folder / PROVENANCE
    known: dict[str, Any] = {}
    try:
        known = read_json(path) if path.exists() else {}
        commands = [list(each) for each in built(Provenance, known).commands]
    except ValueError:
        known, commands = {}, []
    if list(command) not in commands:
        content = known | {"commands": [*commands, list(command)]}
        write_whole(path, (json.dumps(content, indent=2) + "\n").encode())
