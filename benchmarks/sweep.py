"""Time what a sweep costs besides the work: a run with nothing to train, and reading the results of a thousand."""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import torch

from withstand.data.tables.toy import Toy
from withstand.experiment import CONFIG, ROWS, Experiment, dump, plain
from withstand.models.mlp import MLP
from withstand.pools.block import State
from withstand.pools.local_pool import LocalPool
from withstand.pools.pool import Pool
from withstand.study.aggregate import aggregate
from withstand.study.measures.measure import ACCURACY, Measure
from withstand.study.measures.row import Row, write_rows
from withstand.study.runs import read
from withstand.study.sweep import Entry, write_entries
from withstand.sweeps.run_block import RunBlock
from withstand.training.settings import Training

EMPTY = Experiment(data=Toy(num_train=40, num_test=40), model=MLP(hidden=(4,)), training=Training(epochs=0))
TOP1 = Measure(name="top1", column="correct", topic=ACCURACY, better="higher", percent=True)
GOAL_RUN, GOAL_READ = 0.060, 2.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=50, help="empty runs per pool (default 50)")
    parser.add_argument("--repeats", type=int, default=5, help="times that results are read (default 5)")
    parser.add_argument(
        "--folder", type=Path, help="where the runs are written (default: the system's temporary folder)"
    )
    parser.add_argument("--json", type=Path, help="JSON file for the raw times")
    options = parser.parse_args()
    torch.set_num_threads(1)
    times: dict[str, list[float]] = {}
    goals: dict[str, float] = {}
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        root = Path(name)
        for pool_name, start in pools().items():
            label = f"empty run, {pool_name}"
            times[label], goals[label] = empty_runs(start, root / pool_name, options.runs), GOAL_RUN
        disk = [synced(root / "probe") for _ in range(options.runs)]
        results(root / "thousand", configurations=20, seeds=50, measures=3)
        aggregate(read(root / "thousand"))  # imports polars
        label = "1,000 runs read and aggregated"
        times[label], goals[label] = (
            [timed(lambda: aggregate(read(root / "thousand"))) for _ in range(options.repeats)],
            GOAL_READ,
        )
    holds = {}
    print(f"one file synced to this disk: {1000 * statistics.median(disk):.1f} ms; load {os.getloadavg()[0]:.1f}")
    for label, seconds in times.items():
        middle = statistics.median(seconds)
        holds[label] = middle < goals[label]
        shown = f"{middle:.2f} s" if goals[label] >= 1 else f"{1000 * middle:.0f} ms"
        low, high = (min(seconds), max(seconds)) if len(seconds) < 4 else quartiles(seconds)
        goal = f"{goals[label]:g} s" if goals[label] >= 1 else f"{1000 * goals[label]:.0f} ms"
        print(f"  {label:<44}{shown:>9}  ({low:.3f} - {high:.3f} s)  goal: under {goal}, ", end="")
        print("holds" if holds[label] else "missed")
    if options.json is not None:
        content = {
            "provenance": provenance(),
            "seconds": times,
            "seconds_per_synced_file": disk,
            "goals": {label: {"under": goals[label], "holds": holds[label]} for label in times},
        }
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(content, indent=1, allow_nan=False) + "\n")


def pools() -> dict[str, Callable[[Path], Pool]]:
    """Return what starts each kind of pool with one place, where it is installed."""
    found: dict[str, Callable[[Path], Pool]] = {"local": lambda _: LocalPool(1)}
    if find_spec("ray") is None:
        print("Ray is not installed: its part is left out.", file=sys.stderr)
        return found
    from withstand.pools.on_ray import RayPool

    return found | {"Ray": lambda root: RayPool(root, address="local", most=1)}


def empty_runs(start: Callable[[Path], Pool], root: Path, count: int) -> list[float]:
    """Return the seconds from handing in each run to hearing of its end; the first two are not counted."""
    seconds = []
    with start(root) as pool:
        for seed in range(count + 2):
            begun = time.perf_counter()
            pool.begin(str(seed), RunBlock(replace(EMPTY, seed=seed), root))
            ended: list = []
            while not ended:
                ended = pool.wait(60)
            seconds.append(time.perf_counter() - begun)
            assert ended[0][1].state == State.DONE, ended
    return seconds[2:]


def synced(path: Path) -> float:
    """Return the seconds that one small file takes to be safe on this disk."""

    def write() -> None:
        with path.open("wb") as file:
            file.write(b"0" * 1000)
            file.flush()
            os.fsync(file.fileno())

    return timed(write)


def results(root: Path, *, configurations: int, seeds: int, measures: int) -> None:
    """Write the results of a sweep, without its work."""
    entries = []
    text = dump(plain(EMPTY))
    for number in range(configurations):
        for seed in range(seeds):
            run = f"radius_{number}-seed{seed}"
            entries.append(
                Entry(labels={"method": f"m{number // 7}", "radius": (number % 7) / 100}, seed=seed, run=run)
            )
            rows = [
                Row(measure="top1", condition=f"noise-{each}", value=(seed * 7 + each + number) % 100 / 100, count=100)
                for each in range(measures)
            ]
            write_rows(root / run / ROWS, rows, {"top1": TOP1})
            (root / run / CONFIG).write_text(text)
    write_entries(root, entries, command=["withstand", "sweep", "example"])


def timed(work: Callable[[], object]) -> float:
    """Return the seconds that something takes."""
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def quartiles(seconds: list[float]) -> tuple[float, float]:
    """Return the lower and the upper quartile."""
    low, _, high = statistics.quantiles(seconds, n=4, method="inclusive")
    return low, high


def provenance() -> dict[str, object]:
    """Return what the times depend on besides the code."""
    commit = subprocess.run(
        ["git", "rev-parse", "HEAD"], cwd=Path(__file__).parent, capture_output=True, text=True, check=False
    )
    names = ("withstand", "torch", "polars", *(["ray"] if find_spec("ray") else []))
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": commit.stdout.strip(),
        "cores": os.cpu_count(),
        "load_average": list(os.getloadavg()) if hasattr(os, "getloadavg") else None,
        "platform": platform.system(),
        "versions": {"python": platform.python_version()} | {name: version(name) for name in names},
    }


if __name__ == "__main__":
    main()
