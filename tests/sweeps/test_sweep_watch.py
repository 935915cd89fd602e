"""The live table: what goes on is seen, however many combinations there are."""

import sys

import pytest
import yaml
from rich.console import Console as RichConsole

from withstand.commands.sweep_watch import SweepWatch
from withstand.console import Console
from withstand.engine import Engine
from withstand.options import read_experiment
from withstand.pools.block import Outcome, State
from withstand.sweeps.plan import read_plan


@pytest.fixture
def long_plan(tmp_path):
    """A plan of forty combinations with a long name."""
    path = tmp_path / "long.yaml"
    axis = "objective.perturbation.ball.radius"
    options = {"data": "toy", "model": "mlp", "objective.perturbation": "Uniform"}
    content = {"set": options, "vary": {axis: [number / 100 for number in range(1, 41)], "training.epochs": [1]}}
    path.write_text(yaml.safe_dump(content, sort_keys=False))
    return read_plan(str(path), read_experiment)


def shown(table):
    console = RichConsole(width=80, height=24, no_color=True)
    with console.capture() as captured:
        console.print(table)
    return captured.get().splitlines()


@pytest.mark.slow
def test_a_long_table_keeps_what_goes_on_and_the_sum_in_sight(long_plan):
    watch = SweepWatch(long_plan, Console(engine=Engine(), quiet=True), missing=long_plan.experiments)
    runs = list(long_plan.experiments)
    for run in runs[:30]:
        watch.on_begin(run)
        watch.on_end(run, Outcome(State.DONE))
    watch.on_begin(runs[30])
    lines = shown(watch.table(most=5))
    assert [line.split()[0] for line in lines] == [
        "objective.perturbation.ball.radius", "0.31", "0.32", "0.33", "0.34", "0.35", "and", "all", "long:"
    ]  # fmt: skip
    assert lines[1].split()[-4:] == ["0", "1", "0", "1"]
    assert "and 35 more" in lines[-3]
    assert lines[-2].split() == ["all", "30", "1", "0", "40"]
    assert all(len(line.rstrip()) <= 80 for line in lines)
    assert len(shown(watch.table())) == 1 + 40 + 2


@pytest.mark.slow
def test_a_terminal_shows_the_table(long_plan, monkeypatch, capsys):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("LINES", "24")
    monkeypatch.setenv("COLUMNS", "80")
    run = next(iter(long_plan.experiments))
    with SweepWatch(long_plan, Console(engine=Engine(), quiet=False), missing=long_plan.experiments) as watch:
        watch.on_begin(run)
        watch.on_end(run, Outcome(State.FAILED, "out of memory"))
    err = capsys.readouterr().err
    assert f"{run} failed: out of memory" in err
    assert "and 21 more" in err
    assert "all" in err
