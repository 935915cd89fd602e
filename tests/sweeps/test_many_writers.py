"""Many processes that write into one folder lose nothing."""

import json
from dataclasses import replace

import pytest
import yaml

from withstand.data.tables.toy import Toy
from withstand.experiment import CONFIG, HISTORY, MODEL, PROVENANCE, ROWS, Experiment
from withstand.models.mlp import MLP
from withstand.pools.local_pool import LocalPool
from withstand.study.measures.row import read_rows
from withstand.study.runs import read
from withstand.study.sweep import Entry
from withstand.sweeps.plan import Plan
from withstand.sweeps.sweep import record, sweep
from withstand.training.settings import Training

PROCESSES, RUNS = 8, 800
EMPTY = Experiment(data=Toy(num_train=40, num_test=40), model=MLP(hidden=(4,)), training=Training(epochs=0))


@pytest.mark.slow
def test_eight_processes_write_eight_hundred_runs_and_none_is_missing_or_torn(tmp_path, watch):
    experiments, entries = {}, []
    for seed in range(RUNS):
        experiment = replace(EMPTY, seed=seed)
        name = experiment.folder(tmp_path).name
        experiments[name] = experiment
        entries.append(Entry(labels={"width": 4}, seed=seed, run=name))
    plan = Plan(name="many", entries=tuple(entries), experiments=experiments)
    record(plan, tmp_path, command=["withstand", "sweep", "many"])
    with LocalPool(PROCESSES) as pool:
        tally = sweep(plan, tmp_path, pool, watch)
    assert not tally.failed
    assert len(tally.done) == RUNS
    for name, experiment in experiments.items():
        folder = tmp_path / name
        row, *_ = read_rows(folder / ROWS).rows
        assert row.count == 40
        assert yaml.load((folder / CONFIG).read_text(), yaml.CSafeLoader)["seed"] == experiment.seed
        assert json.loads((folder / PROVENANCE).read_text())["identity"] == experiment.identity
        assert json.loads((folder / HISTORY).read_text()) == []
        assert (folder / MODEL).stat().st_size > 0
    assert not list(tmp_path.rglob("*.tmp"))
    frame = read(tmp_path)
    assert set(frame["status"]) == {"done"}
    assert frame["run"].n_unique() == RUNS
