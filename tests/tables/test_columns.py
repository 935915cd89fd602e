"""Tables of any library become numbers and come back unchanged."""

import numpy as np
import pandas as pd
import polars as pl
import pytest

from withstand.errors import InputError
from withstand.tables.columns import Columns

PANDAS = pd.DataFrame(
    {
        "whole": [1, 2, 3, 3],
        "real": [0.5, np.nan, 2.25, 1e9],
        "small": np.array([1, 2, 3, 4], np.int8),
        "nullable": pd.array([1, None, 3, 4], dtype="Int64"),
        "words": ["a", None, "b", "a"],
        "category": pd.Categorical(["x", "y", "x", None], categories=["y", "x", "z"]),
        "flag": [True, False, True, True],
        "day": pd.to_datetime(["2020-01-01", "2020-01-02", None, "2020-01-01"]),
        7: [0.0, 1.0, 2.0, 3.0],
    },
    index=[5, 3, 9, 1],
)


def test_a_frame_of_pandas_comes_back():
    columns = Columns.of(PANDAS, split=["words", "category"], who="test")
    pd.testing.assert_frame_equal(columns.table(columns.matrix()), PANDAS)


def test_a_frame_of_polars_comes_back():
    frame = pl.from_pandas(PANDAS.rename(columns={7: "7"}).reset_index(drop=True))
    columns = Columns.of(frame, split=["words", "flag"], who="test")
    assert columns.table(columns.matrix()).equals(frame)


@pytest.mark.parametrize("dtype", ["int64", "uint64", "Int64", "int64[pyarrow]"])
def test_whole_numbers_that_float64_does_not_hold_come_back(dtype):
    numbers = [2**53 + 1, 2**62 + 1, 3, 2**53 + 1]
    frame = pd.DataFrame({"id": pd.array(numbers, dtype=dtype), "x": [0.5, 1.5, 2.5, 3.5]})
    for table in (frame, pl.from_pandas(frame), frame[["id"]].to_numpy()):
        columns = Columns.of(table, who="test")
        again = columns.table(columns.matrix()[[1, 0]])
        assert list(again.T[0] if isinstance(again, np.ndarray) else again["id"]) == numbers[1::-1]


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.int64])
def test_an_array_comes_back(dtype):
    array = np.array([[1, 2], [3, 4]], dtype)
    columns = Columns.of(array, who="test")
    again = columns.table(columns.matrix())
    assert again.dtype == dtype
    assert (again == array).all()


def test_parts_of_a_table_are_rows_of_it():
    columns = Columns.of(PANDAS, split=["words"], who="test")
    some = columns.table(columns.matrix()[[2, 0]])
    pd.testing.assert_frame_equal(some, PANDAS.iloc[[2, 0]].reset_index(drop=True))


@pytest.mark.parametrize("table", [np.array([["a"]]), np.zeros((2, 0)), pd.DataFrame({"a": [np.inf, 1.0]}), 3, None])
def test_what_is_no_table_of_finite_numbers_is_refused(table):
    with pytest.raises(InputError):
        Columns.of(table, who="test")


@pytest.mark.parametrize("dtype", ["int8", "uint8", "Int8"])
def test_numbers_that_a_column_cannot_hold_end_at_its_limits(dtype):
    limits, frame = np.iinfo(dtype.lower()), pd.DataFrame({"a": pd.array([1, 2], dtype=dtype)})
    for table in (frame, pl.from_pandas(frame)):
        columns = Columns.of(table, who="test")
        assert list(columns.table(np.array([[1000.0], [-1000.0]]))["a"]) == [limits.max, limits.min]
