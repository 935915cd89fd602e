"""Commands on a machine with little memory, and with a clock that jumps."""

import os
import time

import pytest
from bench import COMMANDS, IS_FULL
from fault_suite import failed, refusal
from safetensors.torch import load_file

pytestmark = pytest.mark.faults
DRAWS = [
    "--objective=PerturbedRisk",
    "--objective.perturbation=Gaussian",
    "--objective.mode=two_pass",
    "--objective.num-draws=32",
    "--objective.fold.temperature=1",
]


def weights(place):
    return load_file(next(place.glob("runs/*/model.safetensors")))


def test_out_of_memory_halves_the_chunk_and_changes_no_weight_but_by_rounding(bench, row):
    trained = []
    for faults in ({}, {"out_of_memory": {"most": 80}}):
        place = bench.place("train")
        ended = bench.start("train", place, faults=faults, without="--objective", extra=DRAWS).wait()
        assert ended.code == 0, ended.err
        trained.append(weights(place))
    one, other = trained
    far = [name for name in one if not one[name].allclose(other[name], rtol=1e-3, atol=1e-4)]
    row("out of memory, chunk halved: train", 1, failed(f"out_of_memory 80, {DRAWS}", far))


@pytest.mark.parametrize("name", ["train", "evaluate"])
def test_out_of_memory_for_good_is_one_sentence(name, bench, row):
    place = bench.place(name)
    ended = bench.start(name, place, faults={"out_of_memory": {"most": 2}}).wait()
    wrong = refusal(ended, codes=(1,)) + bench.completes(name, place)
    row(f"out of memory for good: {name}", 1, failed(name, wrong))


# A library that gets no memory may abort the process, as Polars does; what counts is that nothing is lost.
@pytest.mark.parametrize("more", [30_000_000, 100_000_000, 300_000_000] if IS_FULL else [100_000_000])
@pytest.mark.parametrize("name", [each for each in COMMANDS if each != "sweep"])  # its workers cannot begin
def test_too_little_memory_ends_a_command_without_harm(name, more, bench, row):
    place = bench.place(name)
    alone = [] if name == "report" else ["-j", "0"]  # PyTorch waits for ever for a worker that cannot begin a thread
    process = bench.start(name, place, faults={"little_memory": {"more": more}}, extra=alone)
    process.wait()
    wrong = [f"orphan: {each}" for each in process.orphans()]
    wrong += [each for each in bench.completes(name, place) if not each.endswith("provenance.json")]  # holds `-j 0`
    row(f"{more / 1e6:.0f} MB of memory: {name}", 1, failed(f"{name}, {more} bytes more", wrong))


@pytest.mark.parametrize("name", COMMANDS)
def test_a_clock_that_jumps_back_and_files_of_the_future_change_nothing(name, bench, row):
    place = bench.place(name)
    process = bench.start(name, place, faults={"clock_back": {"seconds": 86400, "after": 0.2}})
    if not process.is_over_at(bench.moment(name, "clock"), place.parent / "units"):
        process.send(9)
    process.wait()
    process.orphans()
    tomorrow = time.time() + 86400
    for each in place.rglob("*"):
        os.utime(each, (tomorrow, tomorrow))
    process = bench.start(name, place, faults={"clock_back": {"seconds": 86400, "after": 0.2}})
    wrong = bench.problems(name, place, process.wait(), process.orphans())
    row(f"a clock that jumps back: {name}", 1, failed(name, wrong))
