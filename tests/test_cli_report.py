"""`withstand report` on the command line."""

import json
import subprocess
import sys

import pytest

from withstand.cli import main
from withstand.commands import report as command
from withstand.files import hold
from withstand.study.measures.measure import ACCURACY, Measure
from withstand.study.measures.row import Row, write_rows
from withstand.study.sweep import Entry, write_entries

WORDS = ("top-1 accuracy", "worst-case accuracy", "accuracy over the ball", "Lipschitz bound", "noise distance")
KNOWN = {each: Measure(name=each, column="c", words=each, topic=ACCURACY, percent=True) for each in WORDS}


def run(words, capsys):
    code = main([str(each) for each in words])
    found = capsys.readouterr()
    return code, found.out, found.err


@pytest.fixture(autouse=True)
def _without_figures(monkeypatch):
    monkeypatch.setattr(command, "pictures", lambda study: [])


@pytest.fixture
def runs(tmp_path):
    """A sweep of two methods with long names and many measures; one run is missing."""
    folder = tmp_path / "runs"
    entries = []
    for method in ("regular", "a-method-whose-name-is-much-longer-than-a-column-may-be"):
        for seed in range(3):
            name = f"{method}-{seed}"
            entries.append(Entry(labels={"method": method}, seed=seed, run=name))
            if (method, seed) != ("regular", 2):
                rows = [Row(measure=each, condition="clean", value=0.8 + seed / 100, count=100) for each in KNOWN]
                write_rows(folder / name / "rows.jsonl", rows, KNOWN)
    write_entries(folder, entries, command=["withstand", "sweep", "x"])
    return folder


def test_it_writes_beside_the_runs_and_prints_the_main_table(runs, capsys):
    code, out, err = run(["report", runs], capsys)
    assert code == 0
    assert (runs / "report" / "index.html").exists()
    assert f"Report: {runs}/report/index.html" in err
    assert max(map(len, out.splitlines())) <= 80
    assert "missing seed 2" in out
    assert "80.5" in out
    # The report is no run.
    assert run(["report", runs, "--quiet"], capsys)[:2] == (0, out)


def test_of_two_reports_at_once_the_second_is_told_and_nothing_is_left(runs, capsys):
    left = runs / "report" / "figures" / f".accuracy.png.{'0' * 12}.tmp"
    left.parent.mkdir(parents=True)
    left.write_bytes(b"of a killed process")
    with hold(runs / "report", leaves_lock=False):
        code, out, err = run(["report", runs], capsys)
    assert (code, out) == (2, "")
    assert "another process" in err
    assert run(["report", runs], capsys)[0] == 0
    assert not left.exists()
    assert not (runs / "report" / "lock").exists()


def test_it_does_without_pytorch(runs):
    script = "import sys; sys.modules['torch'] = None; from withstand.cli import main; sys.exit(main(sys.argv[1:]))"
    done = subprocess.run([sys.executable, "-c", script, "report", runs], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert (runs / "report" / "index.html").exists()


def test_the_table_as_json(runs, capsys, tmp_path):
    code, out, _ = run(["report", runs, "--output", tmp_path / "r", "--format", "json"], capsys)
    found = json.loads(out)
    assert code == 0
    assert found["page"] == str(tmp_path / "r" / "index.html")
    assert found["missing"] == ["regular: 2/3 runs, missing seed 2"]
    assert found["table"][0]["Top-1 accuracy, clean"] == "80.5 (80.1-80.9)"


def test_the_spread_may_be_an_interval_of_the_mean(runs, capsys):
    _, out, _ = run(["report", runs, "--spread", "interval"], capsys)
    assert "95 % interval" in out
    assert "80.5 (74.1-86.9)" in out


def test_open_shows_the_page(runs, capsys, monkeypatch):
    opened = []
    monkeypatch.setattr(command.webbrowser, "open", opened.append)
    assert run(["report", runs, "--open"], capsys)[0] == 0
    assert opened == [(runs / "report" / "index.html").resolve().as_uri()]


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["{tmp}/none"], "expected a folder of runs"),
        (["{tmp}/empty"], "expected a folder with runs, found none in"),
        (["{tmp}/runs", "--output", "{tmp}/file"], "expected a folder, found a file"),
        (["{tmp}/runs", "--baseline", "method=x"], "method is one of regular, a-method"),
        (["{tmp}/runs", "--baseline", "nonsense"], "AXIS=VALUE with one of method"),
    ],
)
def test_what_is_wrong_is_one_sentence(runs, tmp_path, capsys, words, text):
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("x")
    code, out, err = run(["report", *(each.format(tmp=tmp_path) for each in words)], capsys)
    assert (code, out) == (2, "")
    assert text in err
    assert len(err.splitlines()) == 1
