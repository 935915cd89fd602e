import json
import os
from pathlib import Path

import pytest

from withstand import files
from withstand.errors import InputError, TrainingError
from withstand.files import write_whole
from withstand.study.measures.measure import Measure
from withstand.study.measures.row import Row, read_rows, write_rows

TOP1 = Measure(name="top1", column="correct", words="top-1 accuracy", better="higher", percent=True)
MEASURES = {
    "top1": TOP1,
    "far": Measure(name="far", column="far", reduction="quantile", parameters={"q": 0.5}, unit="l2"),
}
ROWS = [
    Row(measure="top1", condition="clean", value=0.905, count=100, low=0.83, high=0.95),
    Row(measure="top1", condition="Gaussian std=[0.1, 0.2]", value=1 / 3, count=7, budget="PGD-2 x 1", doubt="Masked."),
    Row(measure="far", condition="noise", value=float("inf"), count=7, low=2.0, high=float("inf")),
]


def test_rows_come_back_as_they_were(tmp_path):
    write_rows(tmp_path / "deep" / "rows.jsonl", ROWS, MEASURES)
    assert read_rows(tmp_path / "deep" / "rows.jsonl") == (ROWS, MEASURES)
    assert [each.name for each in (tmp_path / "deep").iterdir()] == ["rows.jsonl"]


def test_measures_that_no_row_has_are_not_written(tmp_path):
    write_rows(tmp_path / "rows.jsonl", ROWS[:1], MEASURES)
    lines = (tmp_path / "rows.jsonl").read_text().splitlines()
    assert json.loads(lines[0])["measure"]["name"] == "top1"
    assert json.loads(lines[1]) == {
        "measure": "top1",
        "condition": "clean",
        "value": 0.905,
        "count": 100,
        "low": 0.83,
        "high": 0.95,
        "budget": "",
        "doubt": "",
    }
    assert len(lines) == 2


def test_a_value_that_is_not_a_number_writes_nothing(tmp_path):
    rows = [ROWS[0], Row(measure="top1", condition="contrast/3", value=float("nan"), count=10)]
    with pytest.raises(TrainingError, match=r"^results: top1 under contrast/3 is nan of 10 samples\.$"):
        write_rows(tmp_path / "rows.jsonl", rows, MEASURES)
    assert not list(tmp_path.iterdir())


def test_a_row_without_samples_writes_nothing(tmp_path):
    with pytest.raises(TrainingError, match="0 samples"):
        write_rows(tmp_path / "rows.jsonl", [Row(measure="top1", condition="clean", value=0.0, count=0)], MEASURES)
    assert not list(tmp_path.iterdir())


WRONG = [("count", 0), ("count", 1.5), ("count", True), ("value", "1"), ("value", float("nan")), ("value", None)]
WRONG += [("value", 10**400), ("measure", 1), ("measure", "unknown"), ("condition", None), ("more", 1)]
WRONG += [
    ("budget", None),
    ("doubt", None),
    ("low", float("nan")),
    ("high", "1"),
    ("measure", {}),
    ("measure", {"name": "a", "column": "b", "more": 1}),
]
ROW = {"measure": "top1", "condition": "clean", "value": 0.5, "count": 2, "low": None, "high": None}
ROW |= {"budget": "", "doubt": ""}
OLD = {"measure": "top1", "condition": "clean", "total": 1.0, "count": 2}
DAMAGED = [json.dumps(each) for each in (*(ROW | {name: value} for name, value in WRONG), OLD)]


@pytest.mark.parametrize(
    "torn", ['{"measure": "top1", "cond', "{}", '{"measure": "top1"}', "[1]", "null", "text", *DAMAGED]
)
def test_a_torn_line_is_named(tmp_path, torn):
    path = tmp_path / "rows.jsonl"
    write_rows(path, ROWS[:2], MEASURES)
    path.write_text(path.read_text() + json.dumps(ROW) + "\n")
    assert len(read_rows(path).rows) == 3
    path.write_text(path.read_text() + torn + "\n")
    with pytest.raises(InputError, match=rf"^results: line 5 of {path} is not a row"):
        read_rows(path)


def test_a_file_without_rows_is_refused(tmp_path):
    (tmp_path / "rows.jsonl").write_text("")
    with pytest.raises(InputError, match="has no rows"):
        read_rows(tmp_path / "rows.jsonl")


@pytest.mark.parametrize("failing", ["fsync", "replace"])
def test_a_failed_write_leaves_what_was_there(tmp_path, monkeypatch, failing):
    path = tmp_path / "file"
    write_whole(path, b"old")

    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(*((files.os, "fsync") if failing == "fsync" else (Path, "replace")), fail)
    with pytest.raises(OSError, match="No space"):
        write_whole(path, b"new")
    monkeypatch.undo()
    assert path.read_bytes() == b"old"
    write_whole(path, b"newer")
    assert path.read_bytes() == b"newer"
    assert [each.name for each in tmp_path.iterdir()] == ["file"]


def test_a_file_is_synced_before_it_gets_its_name_and_the_folder_afterwards(tmp_path, monkeypatch):
    calls = []
    fsync, replace = os.fsync, Path.replace
    monkeypatch.setattr(files.os, "fsync", lambda handle: (calls.append("fsync"), fsync(handle)))
    monkeypatch.setattr(Path, "replace", lambda self, to: (calls.append("replace"), replace(self, to)))
    write_whole(tmp_path / "file", b"content")
    assert calls == ["fsync", "replace", "fsync"]
