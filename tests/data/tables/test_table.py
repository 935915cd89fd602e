import re

import polars as pl
import pytest
import torch

from withstand.data.tables.table import Table
from withstand.errors import InputError


@pytest.fixture
def path(tmp_path):
    rows = "\n".join(f"{k},{k % 7},{'ab'[k % 2]},{'note'}" for k in range(50))
    (tmp_path / "file.csv").write_text(f"size,weight,kind,remark\n{rows}\n")
    return tmp_path / "file.csv"


def test_all_columns_but_the_target_and_those_dropped_are_features(path):
    split = Table(path=str(path), target="kind", drop=("remark",)).load("train")
    assert split.features.names == ("size", "weight")
    assert split.classes == ("a", "b")
    assert split.shape == (2,)
    assert split.box is None
    assert split.x.dtype == torch.float32


def test_named_features_are_taken_in_their_order(path):
    split = Table(path=str(path), target="kind", features=("weight", "size")).load("test")
    assert split.features.names == ("weight", "size")
    assert len(split) == 10


def test_csv_and_parquet_give_the_same(tmp_path, path):
    pl.read_csv(path).write_parquet(tmp_path / "file.parquet")
    for part in ("train", "validation", "test"):
        one, other = (
            Table(path=str(tmp_path / name), target="kind", drop=("remark",)).load(part)
            for name in ("file.csv", "file.parquet")
        )
        assert torch.equal(one.x, other.x)
        assert torch.equal(one.y, other.y)


def test_a_test_file_replaces_the_test_share(tmp_path, path):
    (tmp_path / "other.csv").write_text("kind,weight,size\nb,1,2\n")
    table = Table(path=str(path), target="kind", drop=("remark",), test_path=str(tmp_path / "other.csv"))
    assert len(table.load("train")) + len(table.load("validation")) == 50
    test = table.load("test")
    assert test.y.tolist() == [1]
    back = test.x * torch.tensor(test.features.scale) + torch.tensor(test.features.offset)
    assert torch.allclose(back, torch.tensor([[2.0, 1.0]]))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"target": "kinds"}, r"has no column 'kinds'; did you mean kind\?"),
        ({"drop": ("remarks",)}, r"has no column 'remarks'; did you mean remark\?"),
        ({"features": ("wait",)}, "has no column 'wait'; "),
        ({}, "column 'remark': expected at least two values in the training part, got one"),
        ({"categorical": ("wait",)}, "categorical column 'wait' is no feature; did you mean weight"),
        ({"drop": ("remark",), "movable": ("remark",)}, "movable column 'remark' is no feature; known: size, weight"),
        ({"drop": ("size", "weight", "remark")}, "has no column left that could be a feature"),
    ],
)
def test_columns_that_cannot_be_used_are_refused(path, fields, message):
    with pytest.raises(InputError, match=f"Table: .*{message}"):
        Table(**({"path": str(path), "target": "kind"} | fields)).load("train")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"validation": 0.8}, "Table: validation and test must be shares"),
        ({"categorical": ("a",), "movable": ("b", "a")}, "Table: column 'a' must not be both categorical and movable"),
        ({"features": ("a", "y")}, "Table: the target 'y' must not be a feature as well"),
    ],
)
def test_bad_fields_are_refused_at_once(fields, message):
    with pytest.raises(InputError, match=message):
        Table(**({"path": "p", "target": "y"} | fields))


def test_the_share_for_testing_does_not_count_with_a_test_file():
    with pytest.raises(InputError):
        Table(path="p", target="y", validation=0.5, test=0.6)
    assert Table(path="p", target="y", test_path="q", validation=0.5, test=0.6).test == 0.6


def test_missing_files_and_unknown_parts_are_reported(tmp_path, path):
    with pytest.raises(InputError, match="Table: expected a CSV or Parquet file at"):
        Table(path=str(tmp_path / "no.csv"), target="y").load("train")
    with pytest.raises(InputError, match="Table: the part must be"):
        Table(path=str(path), target="kind", drop=("remark",)).load("tset")  # type: ignore[arg-type]


def test_categories_and_what_may_move_are_fields(path):
    table = Table(path=str(path), target="kind", drop=("remark",), categorical=("weight",), movable=("size",))
    features = table.load("validation").features
    assert features.names == ("size", *(f"weight={k}" for k in range(7)))
    assert features.movable == (True, *(False,) * 7)


def test_truth_values_and_categories_of_parquet_are_what_they_are_in_csv(tmp_path):
    rows = [(k / 4, k % 3 == 0, "uvw"[k % 3], "pq"[k % 2]) for k in range(60)]
    frame = pl.DataFrame(rows, schema=["size", "is new", "colour", "kind"], orient="row")
    frame.write_csv(tmp_path / "file.csv")
    frame.with_columns(pl.col("colour").cast(pl.Categorical)).write_parquet(tmp_path / "file.parquet")
    one, other = (
        Table(path=str(tmp_path / name), target="kind").load("train") for name in ("file.csv", "file.parquet")
    )
    assert one.features == other.features
    assert one.features.names[1:] == ("is new=false", "is new=true", "colour=u", "colour=v", "colour=w")
    assert torch.equal(one.x, other.x)


BAD = {
    "a constant column": ("0.5,{k},{c}", r"column 'a': expected at least two values in the training part, got one"),
    "not a number": ("nan,{k},{c}", r"line 2, column 'a': expected a finite number, got 'nan'"),
    "nothing": (",{k},{c}", r"line 2, column 'a': expected a finite number, got an empty cell"),
    "a target with fractions": ("{k},{k},{k}.5", r"line 2, column 'y': expected a class \(text or a whole .*got 0.5"),
    "an empty target": ("{k},{k},", r"line 2, column 'y': expected a class, got an empty cell"),
    "one class only": ("{k},{k},p", r"column 'y': expected at least two classes, got only 'p'"),
    "a name in each row": ("{k},name {k},{c}", r"column 'b': expected a category of at most 256 levels, got"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_table_that_cannot_be_used_is_one_sentence_and_exit_code_2(case, tmp_path, capsys):
    from withstand.cli import main

    line, message = BAD[case]
    rows = [line.format(k=k, c="pq"[k % 2]) for k in range(600)]
    (tmp_path / "file.csv").write_text("\n".join(["a,b,y", *rows]) + "\n")
    words = ["train", "--data=table", "--data.path", str(tmp_path / "file.csv"), "--data.target=y", "--model=mlp"]
    assert main([*words, "--output", str(tmp_path / "runs")]) == 2
    (sentence,) = capsys.readouterr().err.splitlines()
    assert re.match(f"withstand: Table: .*file.csv, {message}", sentence)
    assert not (tmp_path / "runs").exists()


def test_a_class_that_training_has_not_seen_is_one_sentence_and_exit_code_2(tmp_path, capsys, path):
    from withstand.cli import main

    (tmp_path / "other.csv").write_text("size,weight,kind\n1,2,a\n3,4,c\n")
    words = ["train", "--data=table", "--data.path", str(path), "--data.target=kind", "--data.drop=[remark]"]
    options = ["--data.test_path", str(tmp_path / "other.csv"), "--model=mlp", "--output", str(tmp_path / "runs")]
    assert main([*words, *options]) == 2
    *_, sentence = capsys.readouterr().err.splitlines()
    assert re.search(r"other.csv, line 3, column 'kind': label 'c' does not occur in training", sentence)
