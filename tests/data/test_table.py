import polars as pl
import pytest
import torch

from withstand.data.table import Table
from withstand.errors import InputError


@pytest.fixture
def path(tmp_path):
    rows = "\n".join(f"{k},{k % 7},{'ab'[k % 2]},{'note'}" for k in range(50))
    (tmp_path / "file.csv").write_text(f"size,weight,kind,remark\n{rows}\n")
    return tmp_path / "file.csv"


def test_all_columns_but_the_target_and_those_dropped_are_features(path):
    split = Table(path=str(path), target="kind", drop=("remark",)).load("train")
    assert split.scaling.features == ("size", "weight")
    assert split.classes == ("a", "b")
    assert split.shape == (2,)
    assert split.box is None
    assert split.x.dtype == torch.float32


def test_named_features_are_taken_in_their_order(path):
    split = Table(path=str(path), target="kind", features=("weight", "size")).load("test")
    assert split.scaling.features == ("weight", "size")
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
    back = test.x * torch.tensor(test.scaling.std) + torch.tensor(test.scaling.mean)
    assert torch.allclose(back, torch.tensor([[2.0, 1.0]]))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"target": "kinds"}, r"has no column 'kinds'; did you mean kind\?"),
        ({"drop": ("remarks",)}, r"has no column 'remarks'; did you mean remark\?"),
        ({"features": ("wait",)}, "has no column 'wait'; "),
        ({}, "column 'remark': features must be columns of numbers, got text such as 'note'"),
        ({"drop": ("size", "weight", "remark")}, "has no column left that could be a feature"),
    ],
)
def test_columns_that_cannot_be_used_are_refused(path, fields, message):
    with pytest.raises(InputError, match=f"Table: .*file.csv.*{message}"):
        Table(**({"path": str(path), "target": "kind"} | fields)).load("train")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"validation": -0.1}, "Table: validation and test must be shares"),
        ({"validation": 0.8}, "Table: validation and test must be shares"),
        ({"scale": "minmax"}, "Table: scale must be standard or none, got 'minmax'"),
        ({"features": ("a", "y")}, "Table: the target 'y' must not be a feature as well"),
    ],
)
def test_bad_fields_are_refused_at_once(fields, message):
    with pytest.raises(InputError, match=message):
        Table(**({"path": "p", "target": "y"} | fields))


def test_the_share_for_testing_does_not_count_with_a_test_file():
    Table(path="p", target="y", test_path="q", validation=0.5, test=0.6)


def test_missing_files_and_unknown_parts_are_reported(tmp_path, path):
    with pytest.raises(InputError, match="Table: expected a CSV or Parquet file at"):
        Table(path=str(tmp_path / "no.csv"), target="y").load("train")
    with pytest.raises(InputError, match="Table: the part must be"):
        Table(path=str(path), target="kind", drop=("remark",)).load("tset")  # type: ignore[arg-type]
