import json
import os
from pathlib import Path

import pytest

from withstand.errors import InputError, TrainingError
from withstand.files import write_whole
from withstand.study import row as row_module
from withstand.study.row import Row, read_rows, write_rows

ROWS = [
    Row(measure="top1", condition="clean", total=90.5, count=100),
    Row(measure="top1", condition="Gaussian std=[0.1, 0.2]", total=1 / 3, count=7),
]


def test_rows_come_back_as_they_were(tmp_path):
    write_rows(tmp_path / "deep" / "rows.jsonl", ROWS)
    assert read_rows(tmp_path / "deep" / "rows.jsonl") == ROWS
    assert [each.name for each in (tmp_path / "deep").iterdir()] == ["rows.jsonl"]


def test_the_value_is_the_mean():
    assert ROWS[0].value == 0.905


def test_every_line_is_one_row_of_plain_json(tmp_path):
    write_rows(tmp_path / "rows.jsonl", ROWS)
    lines = (tmp_path / "rows.jsonl").read_text().splitlines()
    assert json.loads(lines[0]) == {"measure": "top1", "condition": "clean", "total": 90.5, "count": 100}
    assert len(lines) == 2


@pytest.mark.parametrize("total", [float("nan"), float("inf")])
def test_a_total_that_is_no_number_writes_nothing(tmp_path, total):
    rows = [ROWS[0], Row(measure="top1", condition="contrast/3", total=total, count=10)]
    with pytest.raises(TrainingError, match=rf"^results: top1 under contrast/3 is {total} of 10 samples\.$"):
        write_rows(tmp_path / "rows.jsonl", rows)
    assert not list(tmp_path.iterdir())


def test_a_row_without_samples_writes_nothing(tmp_path):
    with pytest.raises(TrainingError, match="0 samples"):
        write_rows(tmp_path / "rows.jsonl", [Row(measure="top1", condition="clean", total=0.0, count=0)])
    assert not list(tmp_path.iterdir())


WRONG = [("count", 0), ("count", 1.5), ("count", True), ("total", "1"), ("total", float("nan")), ("total", None)]
WRONG += [("total", 10**400), ("measure", 1), ("condition", None), ("more", 1)]
DAMAGED = [
    json.dumps({"measure": "top1", "condition": "clean", "total": 1.0, "count": 2} | {name: value})
    for name, value in WRONG
]


@pytest.mark.parametrize(
    "torn", ['{"measure": "top1", "cond', "{}", '{"measure": "top1"}', "[1]", "null", "text", *DAMAGED]
)
def test_a_torn_line_is_named(tmp_path, torn):
    path = tmp_path / "rows.jsonl"
    write_rows(path, ROWS)
    path.write_text(path.read_text() + torn + "\n")
    with pytest.raises(InputError, match=rf"^results: line 3 of {path} is not a row\.$"):
        read_rows(path)


@pytest.mark.parametrize("failing", ["fsync", "replace"])
def test_a_failed_write_leaves_what_was_there(tmp_path, monkeypatch, failing):
    path = tmp_path / "file"
    write_whole(path, b"old")

    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(*((row_module.os, "fsync") if failing == "fsync" else (Path, "replace")), fail)
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
    monkeypatch.setattr(row_module.os, "fsync", lambda handle: (calls.append("fsync"), fsync(handle)))
    monkeypatch.setattr(Path, "replace", lambda self, to: (calls.append("replace"), replace(self, to)))
    write_whole(tmp_path / "file", b"content")
    assert calls == ["fsync", "replace", "fsync"]
