"""Runs that fit together in one batch: the same outcome as one by one, and one that fails harms no other."""

import time

import pytest
import yaml

from withstand.cli import main
from withstand.experiment import ROWS, hold
from withstand.options import read_experiment
from withstand.pools.block import State
from withstand.study.measures.row import read_rows
from withstand.study.sweep import read_failure
from withstand.sweeps.batch_pool import BatchPool
from withstand.sweeps.plan import read_plan
from withstand.sweeps.sweep import record, sweep

TOY = {"data": "toy", "data.num_train": 40, "data.num_test": 40, "model": "mlp", "epochs": 1}
NOISE = {"objective.perturbation": "Uniform"}


@pytest.fixture
def mixed(tmp_path):
    """A sweep of two radii that share a batch, and of a way of training that does not."""
    path = tmp_path / "mixed.yaml"
    ways = {
        "near": NOISE | {"objective.perturbation.ball.radius": 0.1},
        "far": NOISE | {"objective.perturbation.ball.radius": 0.4},
        "alone": NOISE | {"objective.mode": "two_pass", "objective.num_draws": 4},
    }
    path.write_text(yaml.safe_dump({"set": TOY, "vary": {"way": ways}, "seeds": 2}))
    return path


@pytest.mark.slow
def test_a_vectorised_sweep_gives_the_rows_of_an_ordinary_one(tmp_path, mixed, monkeypatch):
    sizes = []
    together = BatchPool._together
    monkeypatch.setattr(
        BatchPool, "_together", lambda self, batch: (sizes.append(len(batch)), together(self, batch))[1]
    )
    assert main(["sweep", str(mixed), "--output", str(tmp_path / "one"), "--quiet"]) == 0
    assert main(["sweep", str(mixed), "--output", str(tmp_path / "batch"), "--quiet", "--vectorize"]) == 0
    assert sizes == [4]
    plan = read_plan(str(mixed), read_experiment)
    assert len(plan.experiments) == 6
    for run in plan.experiments:
        rows, others = (read_rows(tmp_path / place / "mixed" / run / ROWS) for place in ("one", "batch"))
        assert rows == others


def test_a_pool_whose_runs_are_at_work_elsewhere_waits(tmp_path):
    begun = time.monotonic()
    assert BatchPool(tmp_path, device="cpu").wait(0.2) == []
    assert time.monotonic() - begun >= 0.2


def test_a_run_that_fails_is_recorded_and_the_others_are_done(tmp_path, capsys):
    # A learning rate without bounds: the loss of one kind is not finite, that of the other is.
    path = tmp_path / "diverging.yaml"
    ways = {"fine": {}, "wild": {"training.optimizer": "SGD", "training.optimizer.lr": 1e30, "epochs": 3}}
    path.write_text(yaml.safe_dump({"set": TOY, "vary": {"way": ways}, "seeds": 2}))
    assert main(["sweep", str(path), "--output", str(tmp_path / "runs"), "--quiet", "--vectorize"]) == 3
    assert "2 of 4 runs failed: " in capsys.readouterr().err
    plan = read_plan(str(path), read_experiment)
    done = {run: (tmp_path / "runs" / "diverging" / run / ROWS).exists() for run in plan.experiments}
    for entry in plan.entries:
        assert done[entry.run] == (entry.labels["way"] == "fine")
        problem = read_failure(tmp_path / "runs" / "diverging" / entry.run)
        assert (problem is None) == done[entry.run]
        assert problem is None or "non-finite loss" in problem


def test_runs_that_somebody_else_works_on_are_waited_for(plan, tmp_path, watch, monkeypatch):
    monkeypatch.setattr("withstand.pools.work.SECONDS_BETWEEN_LOOKS", 0.05)
    record(plan, tmp_path, command=["withstand", "sweep"])
    busy = next(iter(plan.experiments))
    states = []

    class Watched(BatchPool):
        def wait(self, seconds):
            if State.BUSY in states:
                lock.__exit__(None, None, None)
            found = super().wait(seconds)
            states.extend(outcome.state for _, outcome in found)
            return found

    lock = hold(tmp_path / busy)
    lock.__enter__()
    tally = sweep(plan, tmp_path, Watched(tmp_path, device="cpu"), watch)
    assert State.BUSY in states
    assert sorted(tally.done) == sorted(plan.experiments)
    assert not tally.failed


def test_it_works_in_one_process_only(source, tmp_path, capsys):
    for words in (["--address", "auto"], ["--slurm"], ["-j", "2"]):
        assert main(["sweep", str(source), "--output", str(tmp_path), "--vectorize", *words]) == 2
        assert "--vectorize cannot be combined with --address, --slurm" in capsys.readouterr().err
    assert not (tmp_path / "try").exists()
