"""Saves a failed input as files, with the command that repeats it."""

import json
import os
import shlex
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fuzzing.runner import Outcome, Runner


def keep(outcome: "Outcome", runner: "Runner", doors: dict[str, Any], *, seed: int, folder: Path) -> None:
    """Make the input again in a folder named by its number: its files, `again.sh`, and `failure.json`."""
    from fuzzing.runner import chosen, generator_of, prepare

    place = folder / str(outcome.number)
    inside, _ = prepare(place)
    child = os.fork()
    if child == 0:
        try:
            rng = generator_of(seed, outcome.number)
            case = doors[chosen(doors, rng)][1](rng, inside, runner.fixtures)
            if case.code:
                (inside / "again.py").write_text(case.code, encoding="utf-8", errors="backslashreplace")
            words = ["python", "again.py"] if case.code else ["python", "-m", "withstand", *case.words]
            script = f'cd "$(dirname "$0")/inside" && exec {shlex.join(words)}\n'
            (place / "again.sh").write_bytes(os.fsencode(script))
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    (place / "failure.json").write_text(json.dumps(vars(outcome), indent=1))
    for name in ("stdout", "stderr"):
        if (runner.work / name).is_file():
            shutil.copyfile(runner.work / name, place / name)
