"""Empty cells: refused, left out, filled, or inputs of their own."""

import logging

import polars as pl
import pytest
import torch

from withstand.data.tables.table import Table
from withstand.errors import InputError
from withstand.evaluation.accuracy import Accuracy
from withstand.evaluation.worst_case import WorstCase
from withstand.measuring.question import Question
from withstand.perturbations.ball import Ball

N = 90
FIELDS = {"target": "y", "scale": "none", "validation": 0.0, "test": 0.2}


def number(k):
    return "" if k % 9 == 4 else k % 10 + 0.5


def level(k):
    return "" if k % 5 == 2 else ("red", "blue", "blue")[k % 3]


@pytest.fixture(params=["csv", "parquet"])
def path(request, tmp_path):
    """Rows of a number, a level and a class, some empty; `whole` is a row's number and never empty."""
    lines = ["size,colour,whole,y", *(f"{number(k)},{level(k)},{k}.5,{'pq'[k * k % 3 % 2]}" for k in range(N))]
    (tmp_path / "file.csv").write_text("\n".join(lines))
    if request.param == "parquet":
        pl.read_csv(tmp_path / "file.csv").write_parquet(tmp_path / "file.parquet")
    return str(tmp_path / f"file.{request.param}")


def load(path, part="train", **fields):
    return Table(**({"path": path} | FIELDS | fields)).load(part)


def holes(split, what):
    return torch.tensor([what(k) == "" for k in split.numbers.tolist()])


def test_empty_cells_are_refused_with_the_option_that_accepts_them(path):
    for name in ("size", "colour"):
        with pytest.raises(
            InputError, match=rf"column '{name}': .* an empty cell; --data\.missing drop, impute or own"
        ):
            load(path, features=(name, "whole"))


def test_rows_with_empty_cells_are_left_out_of_every_part_and_counted(path, caplog):
    kept = {k for k in range(N) if number(k) != "" and level(k) != ""}
    parts = {part: load(path, part, missing="drop") for part in ("train", "test")}
    numbers = torch.cat([each.numbers for each in parts.values()]).tolist()
    assert sorted(numbers) == sorted(kept)
    for split in parts.values():
        assert torch.equal(split.x[:, -1], split.numbers + 0.5)
        assert split.notes == (f"Rows with an empty cell are left out: {N - len(kept)} of {N}.",)
    assert parts["test"].notes[0] in caplog.text
    used = load(path, missing="drop", features=("size", "whole"))
    assert f"{sum(number(k) == '' for k in range(N))} of {N}" in used.notes[0], "unused columns count"


def test_imputed_cells_are_the_median_or_the_most_frequent_level_of_training(path, caplog):
    train, test = load(path, missing="impute"), load(path, "test", missing="impute")
    filled = train.x[~holes(train, number), 0]
    assert train.features.names == ("size", "colour=blue", "colour=red", "whole")
    for split in (train, test):
        assert set(split.x[holes(split, number), 0].tolist()) == {filled.median().item()}
        assert split.x[holes(split, level), 1:3].unique(dim=0).tolist() == [[1.0, 0.0]]
        cells = holes(split, number) + 0 + holes(split, level)
        assert split.notes[0].startswith(f"Empty cells: {cells.sum()} in {(cells > 0).sum()} of {len(split)} rows")
    assert f"'colour' {holes(train, level).sum()}, 'size' {holes(train, number).sum()}" in caplog.text


def test_own_empty_cells_are_a_level_or_marked_by_an_input(path):
    for part in ("train", "test"):
        split = load(path, part, missing="own")
        assert split.features.names == (
            "size", "size=(empty)", "colour=blue", "colour=red", "colour=(empty)", "whole",
        )  # fmt: skip
        assert torch.equal(split.x[:, 1] == 1, holes(split, number))
        assert torch.equal(split.x[:, 4] == 1, holes(split, level))
        assert split.x[:, 2:5].sum(1).eq(1).all()
        assert split.features.kinds[:2] == ("continuous", "category")
        assert split.features.movable[:2] == (True, False)
    changes = {"size": (-1, 1)}
    assert [each.inputs for each in load(path, missing="own", changes=changes).features.changes] == [(0,)]


def test_a_number_that_is_constant_where_it_is_filled_is_only_marked(tmp_path):
    lines = [f"{'' if k % 3 else 1},{k}.5,{'pq'[k % 2]}" for k in range(30)]
    (tmp_path / "file.csv").write_text("\n".join(["a,b,y", *lines]))
    assert load(str(tmp_path / "file.csv"), missing="own").features.names == ("a=(empty)", "b")


def test_rows_without_a_class_are_left_out_unless_refused(tmp_path):
    lines = [f"{k}.5,{'' if k % 3 == 0 else 'pq'[k % 2]}" for k in range(30)]
    path = tmp_path / "file.csv"
    path.write_text("\n".join(["a,y", *lines]))
    for missing in ("drop", "impute", "own"):
        split = load(str(path), missing=missing)
        assert split.classes == ("p", "q")
        assert (split.numbers % 3).all()
        assert "10 of 30" in split.notes[0]
    with pytest.raises(InputError, match=r"column 'y': expected a class, got an empty cell; --data\.missing"):
        load(str(path))


@pytest.mark.parametrize("missing", ["drop", "impute", "own"])
def test_columns_without_any_cell_are_named(tmp_path, missing):
    (tmp_path / "file.csv").write_text("\n".join(["a,b,y", *(f"{k}.5,,{'pq'[k % 2]}" for k in range(30))]))
    with pytest.raises(InputError, match=r"(column 'b'|no row without an empty cell).* --data\.drop"):
        load(str(tmp_path / "file.csv"), missing=missing)


@pytest.mark.parametrize("missing", ["impute", "own"])
def test_a_table_without_empty_cells_is_the_same_under_every_treatment(tmp_path, missing):
    rows = [f"{k}.5,{'uvw'[k % 3]},{'pq'[k % 2]}" for k in range(40)]
    (tmp_path / "file.csv").write_text("\n".join(["a,b,y", *rows]))
    one, other = (load(str(tmp_path / "file.csv"), **own) for own in ({}, {"missing": missing}))
    assert torch.equal(one.x, other.x)
    assert (one.features, one.notes) == (other.features, other.notes) == (one.features, ())


def test_a_test_file_is_filled_from_the_training_part(tmp_path):
    (tmp_path / "a.csv").write_text("\n".join(["a,b,y", *(f"{k}.5,{'uvv'[k % 3]},{'pq'[k % 2]}" for k in range(31))]))
    (tmp_path / "b.csv").write_text("y,b,a\np,,\nq,u,2\n,u,3\n")
    split = load(str(tmp_path / "a.csv"), "test", missing="impute", test_path=str(tmp_path / "b.csv"))
    assert split.x.tolist() == [[15.5, 0.0, 1.0], [2.0, 1.0, 0.0]]
    assert split.numbers.tolist() == [0, 1]
    assert [note.partition(":")[0] for note in split.notes] == ["Rows with an empty class are left out", "Empty cells"]


def test_a_test_file_without_some_columns_is_refused_in_one_sentence(tmp_path):
    (tmp_path / "a.csv").write_text("\n".join(["size,b,c,y", *(f"{k}.5,{k},{k},{'pq'[k % 2]}" for k in range(30))]))
    (tmp_path / "b.csv").write_text("b,y\n2,p\n")
    with pytest.raises(InputError, match=r"b\.csv has no columns 'size', 'c' of .*a\.csv; "):
        load(str(tmp_path / "a.csv"), "test", test_path=str(tmp_path / "b.csv"))


def test_results_say_what_was_filled(path):
    question = Question.of(Table(path=path, missing="impute", **FIELDS), [Accuracy()])
    assert any(note.startswith("Empty cells: ") for note in question.notes)


SUSPECTS = {
    "an id": (lambda k: k * 3, "identifier"),
    "a name": (lambda k: f"row {k}", "identifier"),
    "a copy of the class": (lambda k: "np"[k % 2] + "o", "leak"),
    "a code of the class": (lambda k: k % 4, "leak"),
    "a threshold": (lambda k: k % 2 * 5 + k / 1000, "leak"),
}
INNOCENT = {
    "a measurement": lambda k: k * 1.37 % 1,
    "a count": lambda k: k % 7,
    "a category": lambda k: "uvw"[k % 3],
    "almost the class": lambda k: k % 2 if k % 10 else 1 - k % 2,
}


@pytest.mark.parametrize("case", SUSPECTS | INNOCENT)
def test_ids_and_leaks_are_logged_with_the_option_that_leaves_them_out(tmp_path, caplog, case):
    cell = SUSPECTS[case][0] if case in SUSPECTS else INNOCENT[case]
    lines = [f"{cell(k)},{k % 5}.5,{'pq'[k % 2]}" for k in range(80)]
    (tmp_path / "file.csv").write_text("\n".join(["a,b,y", *lines]))
    with caplog.at_level(logging.WARNING):
        load(str(tmp_path / "file.csv"))
        load(str(tmp_path / "file.csv"), "test")
    lines = [line for line in caplog.messages if "--data.drop" in line]
    assert len(lines) == (case in SUSPECTS)
    assert all("column 'a' " in line and SUSPECTS[case][1] in line for line in lines)


def test_columns_that_move_are_not_said_to_stay_because_of_their_empty_cells(path):
    question = Question.of(Table(path=path, missing="own", **FIELDS), [WorstCase(balls=(Ball("linf", 0.1),))])
    (note,) = [each for each in question.notes if "do not move" in each]
    assert "colour" in note
    assert "size" not in note
