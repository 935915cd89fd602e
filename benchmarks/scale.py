"""Time the engine of long work: overhead per block, two processes or Ray nodes against one process, planning."""

import argparse
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from PIL import Image

from corruptions import photographs, print_goals, provenance
from withstand.conditions import CORRUPTIONS
from withstand.engine import Engine
from withstand.measuring.parts import Parts, part_name
from withstand.pools.block import Block, State
from withstand.pools.local_pool import LocalPool
from withstand.pools.pool import Pool
from withstand.pools.work import work

GOALS = {"local": 0.020, "Ray": 0.040}  # seconds per block
SPEED_UP, LIKE_LOCAL, PLANNED = 1.7, 1.1, (100_000, 5.0, 1e9)
SEVERITIES = {1: [3], 3: [2, 3, 4], 5: [1, 2, 3, 4, 5]}  # by their number
CELLS = [f"{name}/3" for name in CORRUPTIONS[:15]]
PARTS = ("overhead", "plan", "evaluate", "corrupt")
MODEL = """import torch
from torchvision.models import squeezenet1_1


def net():
    torch.manual_seed(0)
    return squeezenet1_1(num_classes=10).eval()
"""


@dataclass(frozen=True)
class Empty(Block):
    """A block that writes an empty file."""

    path: Path

    def do(self, engine: Engine) -> None:
        """Write the file."""
        self.path.touch()

    @property
    def marker(self) -> Path:
        """The file."""
        return self.path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--small", action="store_true", help="few blocks and photographs, to see that all run")
    parser.add_argument("--photographs", type=int, default=200, help="number of photographs (default: 200)")
    parser.add_argument("--severities", type=int, choices=SEVERITIES, default=1, help="of 15 corruptions (default: 1)")
    parser.add_argument("--rounds", type=int, default=3, help="rounds, of which the median counts (default: 3)")
    parser.add_argument("--only", action="append", choices=PARTS, help="may repeat")
    parser.add_argument("--json", type=Path, metavar="FILE", help="file for the raw times")
    options = parser.parse_args()
    wanted = set(options.only or PARTS)
    rounds, count = (1, 12) if options.small else (options.rounds, options.photographs)
    content: dict = {"provenance": provenance(), "severities": options.severities, "seconds": {}}
    goals: list[dict] = []
    with tempfile.TemporaryDirectory() as place:
        root = Path(place)
        if "overhead" in wanted:
            content["seconds"]["blocks"] = found = overheads(root, 20 if options.small else 200)
            goals += [
                goal(f"{name}: overhead per block in ms", 1000 * s, 1000 * GOALS[name]) for name, s in found.items()
            ]
        if "plan" in wanted:
            number = 2000 if options.small else PLANNED[0]
            seconds, memory = planned(root / "plan", number)
            content["seconds"]["plan"] = {"blocks": number, "seconds": seconds, "bytes": memory}
            goals.append(goal(f"{number:,} blocks planned and resumed, in seconds", seconds, PLANNED[1]))
            goals.append(
                goal(f"{number:,} blocks planned and resumed, in GB of memory", memory / 1e9, PLANNED[2] / 1e9)
            )
        for name in ("evaluate", "corrupt"):
            if name in wanted:
                write_photographs(root / "photographs", count)
                content["seconds"][name] = times = commands(name, root, rounds, SEVERITIES[options.severities])
                title = f"{name}, {15 * options.severities} cells"
                goals += judged(title, {way: statistics.median(each) for way, each in times.items()})
    print_goals(goals)
    if options.json is not None:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(content | {"goals": goals}, indent=1, allow_nan=False) + "\n")


def overheads(root: Path, count: int) -> dict[str, float]:
    """Return the seconds that a pool of one place needs for a block without work."""
    found = {"local": seconds_per_block(LocalPool(1), root / "local", count)}
    if find_spec("ray") is not None:
        from withstand.pools.on_ray import RayPool

        found["Ray"] = seconds_per_block(RayPool(root / "ray", address="local", most=1), root / "ray", count)
    return found


def seconds_per_block(pool: Pool, folder: Path, count: int) -> float:
    folder.mkdir(exist_ok=True)
    with pool:
        for state in (each.state for _, each in work({"first": Empty(folder / "first")}, pool)):
            assert state == State.DONE
        begun = time.perf_counter()
        done = list(work({str(number): Empty(folder / str(number)) for number in range(count)}, pool))
        taken = time.perf_counter() - begun
    assert len(done) == count
    return taken / count


def planned(folder: Path, count: int) -> tuple[float, float]:
    """Return the seconds and the bytes to find which of many blocks of an evaluation are missing."""
    folder.mkdir()
    for number in range(0, count, 2):
        (folder / part_name(128 * number, 128 * (number + 1))).touch()
    begun = time.perf_counter()
    missing = Parts(folder, ["clean"], seconds=1, writes=True).missing(128 * count)
    assert len(missing) == count // 2
    return time.perf_counter() - begun, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def write_photographs(folder: Path, count: int) -> None:
    if folder.exists():
        return
    for number, levels in enumerate(photographs(count)):
        path = folder / f"class{number % 10}" / f"{number:04d}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(levels.permute(1, 2, 0).byte().numpy()).save(path, quality=95)


def commands(name: str, root: Path, rounds: int, severities: list[int]) -> dict[str, list[float]]:
    """Return the seconds of a command in one process with one and two threads, in two processes, and on two nodes."""
    (root / "net.py").write_text(MODEL)
    data = ["--data", "image-folder", "--data.root", "photographs"]
    cells = [f"{corruption}/{each}" for corruption in CORRUPTIONS[:15] for each in severities]
    words = {
        "evaluate": ["evaluate", f"{root / 'net.py'}:net", *data, "--on", *cells, "--output"],
        "corrupt": ["corrupt", "photographs", "--severities", *map(str, severities)],
    }[name]
    ways = {
        "1 process, 1 thread": (1, ["--device", "cpu", "-j", "0"]),
        "1 process, 2 threads": (2, ["--device", "cpu", "-j", "0"]),
        "2 processes": (1, ["--device", "cpu", "-j", "2"]),
    }
    found: dict[str, list[float]] = {}

    def measure(chosen: dict[str, tuple[int, list[str]]], turn: int) -> None:
        for number, (way, (threads, options)) in enumerate(chosen.items()):
            target = root / f"{name}-{turn}-{number}"
            own = [*words, str(target)] if name == "evaluate" else [*words[:2], str(target), *words[2:]]
            found.setdefault(way, []).append(seconds_of([*own, *options], root, threads))
            print(f"{name}, {way}: {found[way][-1]:.1f} s", file=sys.stderr, flush=True)
            shutil.rmtree(target, ignore_errors=True)

    for turn in range(rounds):
        measure(ways, turn)
        with two_nodes() as address:  # only now, since the processes of a cluster take time from all others
            if address:
                measure({"2 Ray nodes": (1, ["--address", address])}, turn)
    return found


def seconds_of(words: list[str], root: Path, threads: int) -> float:
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads)}
    command = [sys.executable, "-m", "withstand", *words, "--quiet"]
    begun = time.perf_counter()
    subprocess.run(command, cwd=root, env=environment, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - begun


@contextmanager
def two_nodes() -> Iterator[str]:
    """Yield the address of a Ray cluster of two nodes with one CPU each; empty without Ray."""
    if find_spec("ray") is None:
        yield ""
        return
    from ray.cluster_utils import Cluster

    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    node: dict[str, Any] = {"num_cpus": 1, "object_store_memory": 200 * 2**20}
    cluster = Cluster(initialize_head=True, head_node_args=node | {"include_dashboard": False})
    cluster.add_node(**node)
    try:
        yield str(cluster.address)
    finally:
        cluster.shutdown()


def judged(name: str, times: dict[str, float]) -> list[dict]:
    two = times["2 processes"]
    gain = times["1 process, 1 thread"] / two
    found = [
        goal(f"{name}: 2 processes, times as fast as 1 with 1 thread", gain, SPEED_UP, least=True),
        goal(f"{name}: 2 processes, time of 1 with 2 threads", two / times["1 process, 2 threads"], 1.0),
    ]
    if "2 Ray nodes" in times:
        found.append(goal(f"{name}: 2 Ray nodes, time of 2 processes", times["2 Ray nodes"] / two, LIKE_LOCAL))
    return found


def goal(text: str, measured: float, limit: float, *, least: bool = False) -> dict:
    """Return a goal and what was measured."""
    holds = measured >= limit if least else measured <= limit
    return {"goal": f"{text}: at {'least' if least else 'most'} {limit:g}", "measured": measured, "holds": holds}


if __name__ == "__main__":
    main()
