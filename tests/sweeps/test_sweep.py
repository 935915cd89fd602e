"""Doing what is missing: each run once, whatever happens to some of them."""

import json
import os
import re
import signal
import subprocess
import sys

import pytest
import yaml

from withstand.cli import main
from withstand.experiment import ROWS
from withstand.pools.block import Outcome, State
from withstand.pools.local_pool import LocalPool
from withstand.pools.pool import Pool
from withstand.study.measures.row import read_rows
from withstand.study.sweep import FAILED, read_entries, read_failure
from withstand.sweeps.run_block import RunBlock
from withstand.sweeps.sweep import sweep

TOY = {"data": "toy", "data.num_train": 40, "data.num_test": 40, "model": "mlp", "epochs": 1}


class Script(Pool):
    """A pool of one place that follows a script: what becomes of each attempt at a run."""

    def __init__(self, folder, outcomes):
        self.folder, self.outcomes, self.at, self.attempts = folder, outcomes, None, []

    @property
    def free(self):
        return int(self.at is None)

    def begin(self, key, block):
        self.at = key
        self.attempts.append(key)

    def wait(self, seconds):
        if self.at is None:
            return []
        key, self.at = self.at, None
        told = self.outcomes.get(key)
        return [(key, told.pop(0) if told else Outcome(State.DONE))]

    def close(self):
        pass


def test_a_lost_run_begins_again_and_is_given_up_after_three_losses(plan, tmp_path, watch):
    one, other, *rest = plan.experiments
    lost = Outcome(State.LOST, "its process ended with SIGKILL.")
    pool = Script(tmp_path, {one: [lost, lost], other: [lost, lost, lost]})
    tally = sweep(plan, tmp_path, pool, watch)
    assert set(tally.done) == {one, *rest}
    assert list(tally.failed) == [other]
    assert (pool.attempts.count(one), pool.attempts.count(other)) == (3, 3)
    assert "SIGKILL" in read_failure(tmp_path / other)


def test_a_run_that_another_process_works_on_is_waited_for(plan, tmp_path, monkeypatch, watch):
    monkeypatch.setattr("withstand.pools.work.SECONDS_BETWEEN_LOOKS", 0.01)
    one = next(iter(plan.experiments))
    pool = Script(tmp_path, {one: [Outcome(State.BUSY), Outcome(State.BUSY)]})
    tally = sweep(plan, tmp_path, pool, watch)
    assert pool.attempts.count(one) == 3
    assert set(tally.done) == set(watch.ended) == set(plan.experiments)


def test_finished_runs_are_left_alone(plan, tmp_path, watch):
    one, *rest = plan.experiments
    (tmp_path / one).mkdir()
    (tmp_path / one / ROWS).write_text("")
    pool = Script(tmp_path, {})
    tally = sweep(plan, tmp_path, pool, watch)
    assert (tally.found, tally.done) == ([one], rest)
    assert pool.attempts == rest


@pytest.mark.slow
def test_local_processes_do_what_single_runs_do_and_replace_one_that_dies(plan, tmp_path, watch):
    """A run that ends its own process does not take the others with it."""
    one, other, *_ = plan.experiments
    with LocalPool(2) as pool:
        pool.begin(one, RunBlock(plan.experiments[one], tmp_path / "swept"))
        os.kill(next(each.process.pid for each in pool.workers if each.key == one), signal.SIGKILL)
        (ended,) = pool.wait(30)
        assert (ended[0], ended[1].state) == (one, State.LOST)
        assert "SIGKILL" in ended[1].problem
        tally = sweep(plan, tmp_path / "swept", pool, watch)
    assert not tally.failed
    assert set(tally.done) | set(tally.found) == set(plan.experiments)
    from withstand.experiment import run

    alone = run(plan.experiments[other], tmp_path / "alone")
    assert read_rows(alone / ROWS) == read_rows(tmp_path / "swept" / other / ROWS)


def test_failed_runs_are_recorded_and_the_others_go_on(tmp_path, capsys):
    path = tmp_path / "bad.yaml"
    settings = {**TOY, "training.optimizer": "SGD", "epochs": 5, "training.batch_size": 10}
    path.write_text(yaml.safe_dump({"set": settings, "vary": {"lr": [0.1, 1e30]}}))
    assert main(["sweep", str(path), "--output", str(tmp_path), "--format", "json"]) == 3
    captured = capsys.readouterr()
    assert "1 of 2 runs failed" in captured.err
    good, bad = read_entries(tmp_path / "bad")
    assert (tmp_path / "bad" / good.run / ROWS).exists()
    assert not (tmp_path / "bad" / bad.run / ROWS).exists()
    assert "finite" in read_failure(tmp_path / "bad" / bad.run)
    assert not (tmp_path / "bad" / good.run / FAILED).exists()
    content = json.loads(captured.out)
    assert (content["found"], content["done"], list(content["failed"])) == ([], [good.run], [bad.run])


@pytest.mark.slow
def test_two_sweeps_on_one_folder_do_each_run_once(source, tmp_path):
    words = [sys.executable, "-m", "withstand", "sweep", str(source), "--output", str(tmp_path), "-j", "2"]
    both = [subprocess.Popen(words, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    errors = [each.communicate(timeout=120)[1] for each in both]
    assert [each.returncode for each in both] == [0, 0], errors
    entries = read_entries(tmp_path / "try")
    assert len(entries) == 4
    for each in entries:
        rows = tmp_path / "try" / each.run / ROWS
        assert read_rows(rows).rows
        # A run that is done again would have written its rows after those of the evaluation of the first time.
        history = json.loads((rows.parent / "history.json").read_text())
        assert len(history) == 1
        assert (rows.parent / "history.json").stat().st_mtime_ns <= rows.stat().st_mtime_ns


def test_a_dry_run_writes_nothing(source, tmp_path, capsys):
    before = sorted(tmp_path.rglob("*"))
    assert main(["sweep", str(source), "--output", str(tmp_path), "--dry-run"]) == 0
    out = capsys.readouterr().out
    assert re.search(r"runs +4\n.*time on one core +\d", out, re.DOTALL)
    assert sorted(tmp_path.rglob("*")) == before


def test_a_dry_run_of_four_axes_fits_a_terminal_and_names_them_shortly(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    axes = {
        "objective.perturbation": ["Gaussian", "Speckle"],
        "training.optimizer.weight_decay": [0.0001, 0.001],
        "training.optimizer.lr": [0.01, 0.1],
        "training.batch_size": [10, 100],
    }
    path = tmp_path / "wide.yaml"
    path.write_text(yaml.safe_dump({"set": TOY, "vary": axes}, sort_keys=False))
    assert main(["sweep", str(path), "--output", "x", "--dry-run"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    assert ["perturbation", "weight_decay", "lr", "batch_size", "runs", "finished"] in [each.split() for each in lines]
    assert ["Speckle", "0.001", "0.1", "100", "1", "0"] in [each.split() for each in lines]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--smal"], "option --smal is not known; did you mean --small"),
        (["--dryrun"], "option --dryrun is not known; did you mean --dry-run"),
        (["--seed-s=3"], "option --seed-s is not known; did you mean --seeds"),
        (["--epoch", "3"], "option --epoch is not known; did you mean --epochs"),
        (["--qqqq", "3"], "option --qqqq is not known; --help shows all."),
        (["--optimizer.nosuch", "3"], "nosuch"),
    ],
)
def test_an_unknown_option_names_the_nearest_of_the_sweep_or_its_runs(source, capsys, words, sentence):
    assert main(["sweep", str(source), *words, "--dry-run"]) == 2
    assert sentence in capsys.readouterr().err


def test_options_of_runs_are_let_through(source, tmp_path, capsys):
    options = ["-b", "10", "--lr", "0.1", "--training.epochs=2", "--objective.fold.temperature", "1.0", "--clip-norm=1"]
    code = main(["sweep", str(source), "--output", str(tmp_path), "--dry-run", *options])
    assert code == 0, capsys.readouterr().err
