"""Runs the fuzzer: `python tests/malformed/fuzz.py --inputs 5000 --seed 0`; prints a table, exits with 1 after a failure."""

import argparse
import importlib
import json
import os
import pkgutil
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from fuzzing.fixtures import make_fixtures
from fuzzing.keeping import keep
from fuzzing.runner import Limits, Runner

ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "POLARS_MAX_THREADS": "1",
    "WITHSTAND_OFFLINE": "1",
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_VERBOSITY": "error",
    "MPLBACKEND": "agg",
    "PYTHONDONTWRITEBYTECODE": "1",
    "CUDA_VISIBLE_DEVICES": "",
}


def main(words: list[str] | None = None) -> int:
    """Run inputs in several processes, print the table, and return the exit code."""
    words = sys.argv[1:] if words is None else words
    found = _options(words)
    if found.worker is not None:
        return _work(found)
    root = Path(tempfile.mkdtemp(prefix="malformed-"))
    kept = Path(os.environ.get("MALFORMED_KEEP") or tempfile.mkdtemp(prefix="malformed-kept-"))
    begun = time.monotonic()
    try:
        codes = _run_workers(found, words, root, kept)
        paths = sorted(root.glob("outcomes-*"))
        outcomes = [json.loads(line) for path in paths for line in path.read_text().splitlines()]
        if found.targets:
            say("The readers of files, by coverage:")
            words = ["all", "--seconds", str(found.targets), "--fixtures", str(found.fixtures or root / "fixtures")]
            target = [sys.executable, str(Path(__file__).with_name("targets.py")), *words, "--kept", str(kept)]
            codes.append(subprocess.run(target, check=False).returncode)
    finally:
        shutil.rmtree(root, ignore_errors=True)
    if outcomes:
        say(table(outcomes))
    failures = [each for each in outcomes if each["verdict"] == "failed"]
    for why, (count, first) in _alike(failures).items():
        say(f"\n{count} x {first['door']}: {why}\n  {first['damage']}\n  {kept}/{first['number']}")
    say(f"\n{len(outcomes):,} inputs of seed {found.seed} in {time.monotonic() - begun:.0f} s; {len(failures)} failed.")
    if failures:
        say(f"Each is kept in {kept}/NUMBER, with the command that repeats it in again.sh.")
    missing = 0 if found.undamaged else found.inputs - len(outcomes)
    if missing:
        say(f"The fuzzer itself failed: {missing} inputs are missing.")
    return int(bool(failures or missing or any(codes)))


def _run_workers(found: Any, words: list[str], root: Path, kept: Path) -> list[int]:
    """Make the fixtures, run a process per share of the inputs, and return their exit codes."""
    me, home = [sys.executable, __file__, *words, "--root", str(root)], root / "home"
    home.mkdir()
    folders = {"HOME": str(home), "XDG_CACHE_HOME": str(home), "MALFORMED_KEEP": str(kept)}
    environment = {**os.environ, **ENVIRONMENT, **folders}
    environment.pop("WITHSTAND_DATA", None)
    if found.fixtures is None or not found.fixtures.is_dir():
        subprocess.run([*me, "--worker", "-1"], env=environment, check=True, stdout=subprocess.DEVNULL)
    processes = range(1 if found.undamaged else min(found.processes, found.inputs))
    workers = [subprocess.Popen([*me, "--worker", str(each)], env=environment) for each in processes]
    return [each.wait() for each in workers]


def _options(words: list[str] | None) -> Any:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--inputs", type=int, default=5000)
    parser.add_argument("--first", type=int, default=0, help="number of the first input")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument(
        "--targets", type=float, default=0, help="seconds for each target of targets.py (default: none)"
    )
    parser.add_argument("--seconds", type=float, default=30.0, help="limit of an input")
    parser.add_argument("--doors", default="", help="only doors whose names hold one of these texts, joined by commas")
    parser.add_argument(
        "--fixtures", type=Path, help="folder of valid files, made if there is none (default: temporary)"
    )
    parser.add_argument(
        "--undamaged", type=Path, help="file for the outcomes of every door on whole files, and no more"
    )
    parser.add_argument("--worker", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--root", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args(words)


def _work(found: Any) -> int:
    """Make the fixtures (worker -1), or run every input of a share."""
    fixtures = (found.fixtures or found.root / "fixtures").resolve()
    if found.worker < 0:
        make_fixtures(fixtures)
        return 0
    import_everything()
    from fuzzing.every_door import EVERY_DOOR

    doors = {name: each for name, each in EVERY_DOOR.items() if any(each in name for each in found.doors.split(","))}
    runner = Runner(fixtures, found.root / f"work-{found.worker}", limits=Limits(seconds=found.seconds))
    if found.undamaged is not None:
        return _undamaged(doors, runner, found.undamaged)
    share = range(found.first, found.first + found.inputs)[found.worker :: found.processes]
    with (found.root / f"outcomes-{found.worker}").open("w", buffering=1) as file:
        for number in share:
            outcome = runner.run(doors, seed=found.seed, number=number)
            file.write(json.dumps(vars(outcome)) + "\n")
            if outcome.verdict == "failed":
                keep(outcome, runner, doors, seed=found.seed, folder=Path(os.environ["MALFORMED_KEEP"]))
    return 0


def _undamaged(doors: dict[str, Any], runner: Runner, path: Path) -> int:
    """Open every door of files with each of its commands, and write the outcomes."""
    own = {name: door for name, (_, door) in doors.items() if hasattr(door, "undamaged")}
    each = [{name: (1, door.undamaged(words))} for name, door in own.items() for words in door.commands]
    path.write_text(json.dumps([vars(runner.run(one, seed=0, number=0)) for one in each]))
    return 0


def import_everything() -> None:
    """Import the package and what it imports late, once, before the processes of inputs are forked."""
    import torch

    import withstand

    torch.set_num_threads(1)
    for each in pkgutil.walk_packages(withstand.__path__, "withstand."):
        if not each.name.endswith("__main__"):
            importlib.import_module(each.name)
    late = ("polars", "pandas", "sklearn.datasets", "matplotlib.pyplot", "PIL.Image", "timm", "torchvision", "jinja2")
    for name in (*late, "onnxruntime", "torch.export", "transformers", "scipy.sparse", "tabulate", "rich.table"):
        importlib.import_module(name)
    from transformers import AutoConfig, AutoModelForImageClassification, ResNetForImageClassification  # noqa: F401


def say(text: str) -> None:
    """Print a line at once."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def table(outcomes: list[dict[str, Any]]) -> str:
    """Return the numbers of inputs per door and verdict."""
    count = Counter((each["door"], each["verdict"]) for each in outcomes)
    doors = sorted({door for door, _ in count})
    lines = [f"{'door':<28}{'tried':>8}{'refused':>9}{'accepted':>10}{'failures':>10}{'slowest, s':>12}"]
    for door in [*doors, "all"]:
        own = [
            count[door, verdict] if door != "all" else sum(count[each, verdict] for each in doors)
            for verdict in ("refused", "accepted", "failed")
        ]
        slowest = max((each["seconds"] for each in outcomes if door in (each["door"], "all")), default=0.0)
        lines.append(f"{door:<28}{sum(own):>8,}{own[0]:>9,}{own[1]:>10,}{own[2]:>10,}{slowest:>12.1f}")
    return "\n".join(lines)


def _alike(failures: list[dict[str, Any]]) -> dict[str, tuple[int, dict[str, Any]]]:
    found: dict[str, tuple[int, dict[str, Any]]] = {}
    for each in sorted(failures, key=lambda one: (one["door"], one["number"])):
        key = each["why"]
        found[key] = (found.get(key, (0, each))[0] + 1, found.get(key, (0, each))[1])
    return found


if __name__ == "__main__":
    raise SystemExit(main())
