"""Two commands at once, and lost workers and machines."""

import os
import signal
import time
from contextlib import suppress
from pathlib import Path

import pytest
from bench import COMMANDS, IS_FULL
from fault_suite import failed, refusal

pytestmark = pytest.mark.faults
PAIRS = 10 if IS_FULL else 1
# A function that a worker calls in the middle of its work.
WORKERS = {
    "train": "withstand.data.images.file_split:read_image",
    "evaluate": "withstand.data.images.file_split:read_image",
    "corrupt to files": "withstand.copies.blocks:encode",
    "sweep": "withstand.training.trainer:Trainer.do_step",
}


@pytest.mark.parametrize("name", COMMANDS)
def test_of_two_at_once_both_complete_or_one_says_that_another_works_there(name, bench, row):
    failures = []
    for number in range(PAIRS):
        place = bench.place(name)
        both = [bench.start(name, place)]
        if number:  # at once, or later by a random share
            both[0].is_over_at(bench.moment(name, f"pair {number}"), place.parent / "units")
        both.append(bench.start(name, place))
        ended = [each.wait(300) for each in both]
        wrong = [f"orphan: {pid}" for each in both for pid in each.orphans()]
        for each in ended:
            wrong += refusal(each, codes=(2,)) if each.code else [f"traceback: {each.err}"] * each.has_traceback
        wrong += ["neither completed"] if all(each.code for each in ended) else []
        wrong += bench.completes(name, place)
        failures += failed(f"{name}, pair {number}", wrong)
    row(f"two at once: {name}", PAIRS, failures)


@pytest.mark.parametrize("times", [1, 3])
@pytest.mark.parametrize("name", WORKERS)
def test_a_worker_that_kills_itself_costs_time_or_is_one_sentence(name, times, bench, row):
    place = bench.place(name)
    deaths = place.parent / "deaths"
    deaths.touch()
    fault = {"die": {"place": WORKERS[name], "at": 8, "times": times, "path": str(deaths)}}
    process = bench.start(name, place, faults=fault)
    ended = process.wait(300)
    wrong = [f"orphan: {each}" for each in process.orphans()]
    wrong += [] if deaths.stat().st_size >= times else [f"only {deaths.stat().st_size} workers died"]
    if ended.code and times > 1:  # given up, and said so
        wrong += refusal(ended, codes=(3,) if name == "sweep" else (1,))
    elif ended.code:
        wrong += [f"exit code {ended.code}: {ended.err}"]
    wrong += [f"traceback: {ended.err}"] * ended.has_traceback
    wrong += bench.completes(name, place)
    row(f"a worker killed {times} x: {name}", 1, failed(f"{name}: {fault}", wrong))


def test_a_lost_ray_worker_costs_time_only(bench, row, tmp_path):
    pytest.importorskip("ray", reason="needs the extra cluster")
    failures, tries = [], 3 if IS_FULL else 1
    for number in range(tries):
        place = bench.place("sweep")
        process = bench.start(
            "sweep",
            place,
            real=True,
            without="--device",
            extra=["--address=local"],
            RAY_USAGE_STATS_ENABLED="0",
            RAY_memory_monitor_refresh_ms="0",
        )
        killed: list[int] = []
        while not killed and process.code is None:
            begun = [
                each for each in place.glob("sweeps/try/*/config.yaml") if not (each.parent / "rows.jsonl").exists()
            ]
            if begun:
                killed = killed_workers(process.pid)
            time.sleep(0.05)
        ended = process.wait(300)
        wrong = [] if killed else ["no worker was found"]
        wrong += [f"exit code {ended.code}: {ended.err}"] if ended.code else []
        found = bench.completes("sweep", place)
        wrong += [each for each in found if not each.endswith(("provenance.json", "sweep.json"))]  # hold the command
        failures += failed(f"try {number}", wrong)
    row("a lost Ray worker: sweep", tries, failures)


def killed_workers(root: int) -> list[int]:
    """Kill the descendants of a process that do tasks of Ray."""
    parents, found = {}, []
    for each in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            parents[int(each.name)] = int((each / "stat").read_text().rpartition(")")[2].split()[1])
    for pid in parents:
        ancestor = pid
        while ancestor not in (0, root):
            ancestor = parents.get(ancestor, 0)
        with suppress(OSError):
            if ancestor == root and (Path("/proc") / str(pid) / "cmdline").read_text().startswith("ray::work"):
                os.kill(pid, signal.SIGKILL)
                found.append(pid)
    return found
