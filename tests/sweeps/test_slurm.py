"""Runs as jobs of Slurm: in chunks, and known by what lies in their folders."""

import sys
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest

from withstand.cli import main
from withstand.errors import InputError
from withstand.experiment import ROWS, hold, run
from withstand.pools import slurm
from withstand.pools.block import Outcome, State
from withstand.pools.slurm import Chunk, SlurmPool, read_options
from withstand.study.measures.row import read_rows
from withstand.sweeps.run_block import RunBlock
from withstand.sweeps.sweep import sweep


class FakeExecutor:
    """Hands in jobs that do nothing by themselves; the test says when one is over, and as what."""

    def __init__(self):
        self.jobs = []

    @contextmanager
    def batch(self):
        yield

    def submit(self, chunk, blocks, device):
        job = SimpleNamespace(blocks=blocks, over=False, state="RUNNING", cancelled=False, outcomes=None)
        job.paths = SimpleNamespace(stderr=Path("jobs/1_0_log.err"))
        job.done = lambda: job.over
        job.cancel = lambda check: setattr(job, "cancelled", True)
        job.result = lambda: dict(job.outcomes.items())  # an error if the job was killed

        def work():
            job.outcomes, job.over = chunk(blocks, device), True

        job.work = work
        self.jobs.append(job)
        return job


@pytest.fixture
def executor(monkeypatch):
    """A false executor."""
    false = FakeExecutor()
    monkeypatch.setattr(slurm, "make_executor", lambda folder, options: false)
    return false


def test_blocks_are_gathered_into_jobs_which_end_as_their_files_and_outcomes_say(executor, plan, tmp_path):
    pool = SlurmPool(tmp_path, chunk=3, most=2)
    assert pool.free == 6
    one, two, three, four = plan.experiments
    for each in plan.experiments:
        pool.begin(each, RunBlock(plan.experiments[each], tmp_path))
    assert pool.free == 2
    assert pool.wait(0) == []
    assert [len(job.blocks) for job in executor.jobs] == [3, 1]
    assert pool.free == 0
    for each in (one, three):
        (tmp_path / each).mkdir()
        (tmp_path / each / ROWS).write_text("")
    assert pool.wait(0) == [(one, Outcome(State.DONE))]  # the third is not looked at before the second has ended
    executor.jobs[0].over, executor.jobs[0].state = True, "NODE_FAIL"
    (_, lost), (_, done) = pool.wait(0)
    assert lost == Outcome(State.LOST, "its job ended as node_fail; see jobs/1_0_log.err.")
    assert done.state == State.DONE
    assert pool.free == 3
    with hold(tmp_path / four):
        executor.jobs[1].work()
        assert pool.wait(0) == [(four, Outcome(State.BUSY))]
    assert pool.free == 6
    assert two not in [key for job in pool.jobs for key in job.blocks]


def test_a_busy_run_is_not_submitted(executor, plan, tmp_path):
    one, two, *_ = plan.experiments
    pool = SlurmPool(tmp_path)
    with hold(tmp_path / two):
        pool.begin(one, RunBlock(plan.experiments[one], tmp_path))
        pool.begin(two, RunBlock(plan.experiments[two], tmp_path))
        assert pool.wait(0) == [(two, Outcome(State.BUSY))]
    assert [len(job.blocks) for job in executor.jobs] == [1]


def test_a_job_does_its_runs_and_what_goes_wrong_is_written(executor, plan, tmp_path):
    pool = SlurmPool(tmp_path)
    for each in list(plan.experiments)[:2]:
        pool.begin(each, RunBlock(plan.experiments[each], tmp_path))
    pool.wait(0)
    executor.jobs[0].work()
    assert {outcome.state for _, outcome in pool.wait(0)} == {State.DONE}
    other = SlurmPool(tmp_path / "other", device="cuda:99")
    one = next(iter(plan.experiments))
    other.begin(one, RunBlock(plan.experiments[one], tmp_path / "other"))
    other.wait(0)
    executor.jobs[1].work()
    ((_, outcome),) = other.wait(0)
    assert outcome.state == State.FAILED
    assert "cuda:99" in outcome.problem


def test_jobs_are_cancelled_at_the_end(executor, plan, tmp_path):
    with SlurmPool(tmp_path) as pool:
        for each in plan.experiments:
            pool.begin(each, RunBlock(plan.experiments[each], tmp_path))
        pool.wait(0)
    assert [job.cancelled for job in executor.jobs] == [True]


def test_a_job_whose_time_is_over_goes_on_with_the_same():
    pytest.importorskip("submitit", reason="needs the extra cluster")
    again = Chunk().checkpoint({"a": 1}, "cpu")
    assert again.args == ({"a": 1}, "cpu")


def test_options_are_numbers_or_text():
    options = read_options("partition=gpu, timeout_min=120,exclusive=true,time=1:30:00,mem_gb=0.5")
    assert options == {"partition": "gpu", "timeout_min": 120, "exclusive": True, "time": "1:30:00", "mem_gb": 0.5}
    assert read_options("") == {}
    with pytest.raises(InputError, match="must be NAME=VALUE with commas in between, got gpu"):
        read_options("gpu")


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ("cluster=moon", "the option cluster must be slurm or local, got moon"),
        ("cluster=local,partitionz=gpu", "Unknown argument 'partitionz'"),
        ("cluster=local,timeout_min=long", "timeout_min"),
    ],
)
def test_an_option_that_submitit_refuses_is_one_sentence(source, tmp_path, capsys, options, sentence):
    pytest.importorskip("submitit", reason="needs the extra cluster")
    assert main(["sweep", str(source), "--output", str(tmp_path), "--slurm", "--slurm-options", options]) == 2
    told = capsys.readouterr().err
    assert sentence in told
    assert told.count("\n") == 1


def test_without_submitit_one_sentence_names_the_extra(source, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "submitit", None)
    assert main(["sweep", str(source), "--output", str(tmp_path), "--slurm"]) == 2
    assert "slurm: needs submitit; install it with pip install 'withstand[cluster]'" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.filterwarnings("default")  # submitit does not wait for its processes
def test_jobs_on_this_machine_do_what_single_runs_do(plan, tmp_path, watch):
    pytest.importorskip("submitit", reason="needs the extra cluster")
    root = tmp_path / "swept"
    with SlurmPool(root, chunk=3, most=2, options={"cluster": "local"}, device="cpu") as pool:
        tally = sweep(plan, root, pool, watch)
    assert not tally.failed
    assert sorted(tally.done) == sorted(plan.experiments)
    for name, experiment in plan.experiments.items():
        assert read_rows(root / name / ROWS) == read_rows(run(experiment, tmp_path / "alone") / ROWS)
    assert len(list((root / "jobs").glob("*_submitted.pkl"))) == 2
