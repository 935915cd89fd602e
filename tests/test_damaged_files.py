"""Damaged files of runs, sweeps, copies and reports are named in one sentence, or left out with a note."""

import io
import json
import os
import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars
import pytest
import yaml
from PIL import Image

from withstand.cli import Signals, main
from withstand.commands import report
from withstand.errors import InputError
from withstand.experiment import run
from withstand.options import read_experiment
from withstand.reports.figures.training import training_pictures
from withstand.study.contents import read_histories, read_notes
from withstand.study.measures import outcome_files
from withstand.study.measures.measure import ACCURACY, Measure
from withstand.study.measures.outcome_files import read_parquet
from withstand.study.measures.outcomes import OutcomeTable
from withstand.study.measures.row import Row, read_rows, write_rows
from withstand.study.pictures import read_pictures
from withstand.study.provenance import Provenance
from withstand.study.records import read_yaml
from withstand.study.study import Study
from withstand.study.sweep import read_entries, read_failure, write_failure
from withstand.sweeps.plan import read_plan
from withstand.sweeps.sweep import record
from withstand.training.checkpoint import LAST, load, save

PLAN = {
    "name": "mine",
    "set": {"data": "digits", "model": "MLP", "model.hidden": [4], "epochs": 1},
    "vary": {"lr": [0.01, 0.1]},
}
DEPTH = 20_000
SPOILT: dict[str, bytes | None] = {
    "empty": b"",
    "half": None,
    "random": bytes(k * 37 % 256 for k in range(500)),
    "null": b"null",
    "list": b"[]",
    "dictionary": b"{}",
    "lists": b"[" * DEPTH + b"]" * DEPTH,
    "dictionaries": b'{"a":' * DEPTH + b"1" + b"}" * DEPTH,
    "recursive": b"a: &a [*a]",
    "unfit tag": b"seed: !!bool x",
    "empty number": b'seed: !!int ""',
    "no time": b"seed: !!timestamp x",
    "beyond a float": b"seed: " + b":".join([b"1"] * 400) + b":1.5",
    "huge": b"[" + b"9" * 400 + b"]",
    "not a number": b"[NaN]",
    "not UTF-8": b'\xff\xfe{"a": 1}',
    "folder": None,
}
KEYS = [f"{place} {value}" for place in ("first", "last") for value in ("null", '"x"', "[null]", "1e999", "{}")]
DAMAGES = (*SPOILT, *KEYS)


def spoil(path: Path, damage: str) -> None:
    """Damage a file; a value of a JSON or YAML file by name only where it has values by name."""
    content = path.read_bytes()
    if damage in KEYS:
        place, _, value = damage.partition(" ")
        known = yaml.safe_load(content) if path.suffix in (".json", ".yaml") else None
        if isinstance(known, dict):
            known[list(known)[0 if place == "first" else -1]] = json.loads(value)
            path.write_text(json.dumps(known) if path.suffix == ".json" else yaml.safe_dump(known))
        return
    path.unlink()
    if damage == "folder":
        path.mkdir()
    else:
        path.write_bytes(content[: len(content) // 2] if damage == "half" else SPOILT[damage] or b"")


@pytest.fixture(scope="session")
def finished(tmp_path_factory) -> Path:
    """A folder with a sweep of two runs, of which one was evaluated later, its report, and a corrupted copy."""
    root = tmp_path_factory.mktemp("finished")
    (root / "plan.yaml").write_text(yaml.safe_dump(PLAN))
    plan = read_plan(str(root / "plan.yaml"), read_experiment)
    record(plan, root / "mine", command=["withstand", "sweep", "plan.yaml"])
    first, second = (run(each, root / "mine") for each in plan.experiments.values())
    first.rename(first := root / "mine" / first.name)
    assert main(["evaluate", str(second), "--on", "clean", "brightness/1", "--quiet"]) == 0
    write_failure(second, "It was slow.", "")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(report, "pictures", lambda study: [])
        assert main(["report", str(root / "mine"), "--quiet"]) == 0
    generator = np.random.default_rng(0)
    for name in "ab":
        (root / "images" / name).mkdir(parents=True)
        Image.fromarray(generator.integers(0, 255, (32, 32, 3), dtype=np.uint8)).save(root / "images" / name / "1.png")
    assert main(copying(root)) == 0
    return root


@pytest.fixture
def place(finished, tmp_path, monkeypatch) -> Path:
    """A copy of the finished folder; its reports have no figures, which take their time."""
    monkeypatch.setattr(report, "pictures", lambda study: [])
    shutil.copytree(finished, tmp_path / "place")
    return tmp_path / "place"


def second_of(root: Path) -> Path:
    """Return the run that was evaluated later."""
    return next(iter(root.glob("mine/*/evaluations"))).parent


def copying(root: Path) -> list[str]:
    options = ["--size", "32", "--severities", "1", "--corruptions", "brightness", "--to", "png", "--quiet"]
    return ["corrupt", str(root / "images"), str(root / "copy"), *options]


# Files by the command that reads them; `RUN` is the second run and `LATER` its evaluation.
OUTCOMES = ["outcomes/outcomes.json", "outcomes/samples.parquet", "outcomes/clean-*.parquet"]
READ_BY = {
    "report": [
        *("sweep.json", "report/files.json", "RUN/config.yaml", "RUN/provenance.json", "RUN/history.json"),
        *("RUN/notes.json", "RUN/rows.jsonl", "RUN/failed.json", "RUN/lock", "RUN/model.safetensors"),
        *("RUN/checkpoints/last.checkpoint", "LATER/config.yaml", "LATER/provenance.json", "LATER/notes.json"),
        *("LATER/rows.jsonl", "LATER/pictures.parquet", *(f"{each}/{own}" for each in ("RUN", "LATER") for own in OUTCOMES)),
    ],
    "evaluate": [
        *("RUN/config.yaml", "RUN/provenance.json", "RUN/model.safetensors", "LATER/config.yaml", "LATER/rows.jsonl"),
        *("LATER/notes.json", "LATER/provenance.json", "LATER/pictures.parquet", *(f"LATER/{own}" for own in OUTCOMES)),
        "LATER/lock",
    ],
    "train": [
        *("RUN/config.yaml", "RUN/provenance.json", "RUN/notes.json", "RUN/history.json", "RUN/model.safetensors"),
        *("RUN/checkpoints/last.checkpoint", *(f"RUN/{own}" for own in OUTCOMES), "RUN/lock"),
    ],
    "again": ["RUN/rows.jsonl", "RUN/provenance.json", "RUN/notes.json", *(f"RUN/{own}" for own in OUTCOMES)],
    "sweep": ["sweep.json", "RUN/config.yaml"],
    "corrupt": ["copy/manifest.json", "copy/.blocks/configuration.json", "copy/.blocks/000000000.json"],
}  # fmt: skip


def words_of(command: str, root: Path) -> list[str]:
    """Prepare a folder for a command that reads its files, and return the command line."""
    second = second_of(root)
    plain = shutil.copyfile(second / "config.yaml", root / "plain.yaml")
    training = ["train", "--config", str(plain), "--output", str(root / "mine"), "--quiet"]
    if command == "train":  # as after a kill in the evaluation
        (second / "rows.jsonl").unlink()
    if command == "corrupt" and not (root / "copy" / ".blocks").exists():  # as after a kill before the last step
        begin_again(root)
    return {
        "report": ["report", str(root / "mine"), "--quiet"],
        "evaluate": ["evaluate", str(second), "--on", "clean", "brightness/1", "--quiet"],
        "train": training,
        "again": training,
        "sweep": ["sweep", str(root / "plan.yaml"), "--output", str(root), "--dry-run", "--quiet"],
        "corrupt": copying(root),
    }[command]


def begin_again(root: Path) -> None:
    """Make the records of a copy as they are before its last step."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("withstand.copies.writing._write_sums", stop)
        shutil.move(root / "copy" / "manifest.json", root / "manifest.json")
        shutil.rmtree(root / "copy")
        with pytest.raises(KeyError):
            main(copying(root))
    shutil.copyfile(root / "manifest.json", root / "copy" / "manifest.json")


def stop(*_: object) -> None:
    raise KeyError


def files_of(command: str, root: Path) -> Iterator[tuple[str, Path]]:
    second = second_of(root)
    (later,) = (second / "evaluations").iterdir()
    for name in READ_BY[command]:
        base, _, rest = name.partition("/")
        folder = {"RUN": second, "LATER": later, "copy": root / "copy"}.get(base)
        (path,) = folder.glob(rest) if folder else [root / "mine" / name]
        yield name, path


CASES = [(command, name, damage) for command, names in READ_BY.items() for name in names for damage in DAMAGES]
FEW = {case for k, case in enumerate(CASES) if k % 41 == 0}


@pytest.mark.parametrize(
    ("command", "name", "damage"),
    [pytest.param(*case, marks=[] if case in FEW else pytest.mark.slow) for case in CASES],
)
def test_a_damaged_file_is_named_or_left_out(place, capsys, command, name, damage):
    words = words_of(command, place)
    path = dict(files_of(command, place))[name]
    if command == "corrupt" and ".blocks" in name:
        (place / "copy" / "manifest.json").unlink()
    spoil(path, damage)
    code = main(words)
    out, err = capsys.readouterr()
    assert code in (0, 2), err
    assert "Traceback" not in err
    if code == 2:
        assert len(err.splitlines()) == 1
        assert path.name in err
    is_in_the_way = (name, damage) == ("report/files.json", "folder")  # of a file that is written
    if command == "report" and name != "sweep.json" and not is_in_the_way:
        assert code == 0, err
        assert "lr 0.01 " in out


@pytest.mark.parametrize(
    "damage",
    ["half", *(pytest.param(each, marks=pytest.mark.slow) for each in ("null", "lists", "not UTF-8", "folder"))],
)
@pytest.mark.parametrize("name", ["rows.jsonl", "config.yaml", "history.json", "provenance.json", "notes.json"])
def test_a_report_names_the_damaged_file_and_shows_the_other_run(place, capsys, name, damage, monkeypatch):
    # Drawing takes its time; what is drawn is read all the same.
    monkeypatch.setattr(report, "pictures", lambda study: training_pictures(study)[:0])
    path = second_of(place) / name
    spoil(path, damage)
    assert main(["report", str(place / "mine"), "--format", "json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert any(str(path) in each for each in found["missing"])
    assert str(path) in (place / "mine" / "report" / "index.html").read_text()
    assert str(path).replace("_", r"\_") in (place / "mine" / "report" / "report.md").read_text()
    first = next(each for each in found["table"] if each["combination"] == "lr 0.01")
    assert first["runs"] == "1/1"


def test_a_report_of_nothing_but_a_damaged_run_is_refused(place, capsys):
    second = second_of(place)
    (second / "rows.jsonl").write_text("null\n")
    assert main(["report", str(second)]) == 2
    assert f"{second}/rows.jsonl" in capsys.readouterr().err


READERS = {
    "sweep.json": lambda path: read_entries(path.parent),
    "RUN/config.yaml": read_yaml,
    "RUN/provenance.json": Provenance.read,
    "RUN/history.json": lambda path: list(read_histories(path.parent.parent, [path.parent.name])),
    "RUN/notes.json": lambda path: read_notes(path.parent),
    "RUN/rows.jsonl": read_rows,
    "RUN/failed.json": lambda path: read_failure(path.parent),
    "RUN/checkpoints/last.checkpoint": lambda path: load(path.parent, identity="x"),
    "LATER/pictures.parquet": read_pictures,
    "LATER/outcomes/outcomes.json": lambda path: OutcomeTable.read(path.parent),
    "LATER/outcomes/samples.parquet": lambda path: OutcomeTable.read(path.parent),
    "LATER/outcomes/clean-*.parquet": lambda path: OutcomeTable.read(path.parent).check(),
}


@pytest.mark.parametrize("name", READERS)
def test_every_reader_takes_a_file_or_refuses_it(place, name):
    path = dict(files_of("report", place))[name]
    content, refused = path.read_bytes(), 0
    for damage in DAMAGES:
        spoil(path, damage)
        try:
            READERS[name](path)
        except InputError:
            refused += 1
        if path.is_dir():
            path.rmdir()
        path.write_bytes(content)
    assert refused >= len(SPOILT) - 2 or name == "RUN/failed.json"  # an empty list of sentences is one


@pytest.mark.parametrize(
    "change",
    [
        lambda state: state.pop("update"),
        lambda state: state["update"].pop("model"),
        lambda state: state["progress"].update(epoch="x"),
        lambda state: state["progress"].update(history=[None]),
        lambda state: state["best"].update(value=None),
        lambda state: state.update(objective=[]),
        lambda state: state["update"]["model"].popitem(),
    ],
)
def test_a_checkpoint_of_another_version_is_named(place, capsys, change):
    words = words_of("train", place)
    folder = second_of(place) / "checkpoints"
    identity = second_of(place).name.rpartition("-")[2]
    state = load(folder, identity=identity)
    assert state is not None
    change(state)
    save(folder, state, identity=identity)
    assert main(words) == 2
    assert str(folder / LAST) in capsys.readouterr().err


@pytest.mark.parametrize("name", ["clean-*.parquet", "samples.parquet"])
@pytest.mark.parametrize("make", ["pipe", "equal cells", "lists", "long texts"])
def test_outcomes_without_end_are_named_before_they_are_read(place, monkeypatch, name, make):
    path = dict(files_of("report", place))[f"LATER/outcomes/{name}"]
    content = path.read_bytes()
    path.unlink()
    monkeypatch.setattr(outcome_files, "MOST_BYTES", 1 << 20)
    monkeypatch.setattr(polars, "read_parquet", lambda *_: pytest.fail("it was read"))
    if make == "pipe":
        os.mkfifo(path)
    else:
        column = {
            "equal cells": polars.zeros(outcome_files.MOST_CELLS + 1, dtype=polars.UInt8, eager=True),
            "lists": polars.Series([[0] * 9]),
            "long texts": polars.Series(["x" * 1000]).new_from_index(0, 2000),
        }[make]
        polars.DataFrame({"number": column}).write_parquet(path)
        assert path.stat().st_size < 1 << 20
    with pytest.raises(InputError, match=re.escape(path.name)):
        read_parquet(path)
    path.unlink()
    path.write_bytes(content)


def test_a_pipe_in_the_place_of_a_checkpoint_is_named(tmp_path):
    os.mkfifo(tmp_path / LAST)
    with pytest.raises(InputError, match=LAST):
        load(tmp_path, identity="x")


@pytest.mark.parametrize("content", ["[{}]", '[{"epoch": 1}]', '[{"other": 1.0}]'])
def test_a_report_goes_on_without_a_history_that_says_nothing(place, content):
    for path in (place / "mine").rglob("history.json"):
        path.write_text(content)
    assert not training_pictures(Study.of(place / "mine"))


def test_a_report_names_a_run_whose_name_is_not_utf8(tmp_path, capsys):
    known = {"top1": Measure(name="top1", column="correct", topic=ACCURACY, percent=True)}
    for name in ("run", "run\udcff"):
        write_rows(tmp_path / name / "rows.jsonl", [Row(measure="top1", condition="clean", value=0.5, count=9)], known)
        (tmp_path / name / "config.yaml").write_text("name: run\nseed: 0\n")
    assert main(["report", str(tmp_path), "--format", "json", "--quiet"]) == 0
    assert r"run\udcff" in json.loads(capsys.readouterr().out)["missing"][-1]
    assert main(["report", str(tmp_path / "run\udcff"), "--format", "json", "--quiet"]) == 0


def test_numbers_to_the_base_60_take_no_time(tmp_path):
    (tmp_path / "config.yaml").write_text("a: " + ":".join(["59"] * 100_000))
    with pytest.raises(InputError, match="digits"):
        read_yaml(tmp_path / "config.yaml")


def test_names_that_the_encoding_of_standard_output_lacks_are_escaped(tmp_path, monkeypatch):
    known = {"top1": Measure(name="top1", column="correct", topic=ACCURACY, percent=True)}
    run = tmp_path / "\u65e5\u672c"
    write_rows(run / "rows.jsonl", [Row(measure="top1", condition="clean", value=0.5, count=9)], known)
    (run / "config.yaml").write_text("name: run\nseed: 0\n")
    output = io.TextIOWrapper(io.BytesIO(), encoding="latin-1")
    monkeypatch.setattr(sys, "stdout", output)
    monkeypatch.setattr(sys, "argv", ["withstand", "report", str(run), "--quiet"])
    monkeypatch.setattr(Signals, "end", Signals.restore)
    assert main() == 0
    assert rb"\u65e5\u672c" in output.buffer.getvalue()
