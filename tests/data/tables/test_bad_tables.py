"""Tables that cannot be used: one sentence each, and never an exception of the reader."""

import datetime
import decimal
import gzip
import os

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from withstand.data import memory
from withstand.data.tables.table import Table
from withstand.errors import InputError

N = 20
NUMBERS = [each % 7 + 0.5 for each in range(N)]
CLASSES = [each % 2 for each in range(N)]
TEXT = "".join(f"{number},{label}\n" for number, label in zip(NUMBERS, CLASSES, strict=True))


def columns(**more):
    return {"a": NUMBERS, "y": CLASSES} | more


def parquet(tmp_path, content):
    path = tmp_path / "file.parquet"
    pq.write_table(content if isinstance(content, pa.Table) else pa.table(content), path)
    return path


def load(path, **options):
    return Table(path=str(path), **({"target": "y"} | options)).load("train")


NO_LEVELS = {
    "lists": [[1.0, 2.0]] * N,
    "structs": [{"p": each} for each in range(N)],
    "lists of structs of lists": [[{"p": [1]}]] * N,
    "maps": pa.array([[("k", 1)]] * N, pa.map_(pa.string(), pa.int64())),
    "durations": [datetime.timedelta(each % 3) for each in range(N)],
    "bytes": [b"\xff\x00%d" % (each % 3) for each in range(N)],
    "nothing": [None] * N,
    "NaN": [float("nan")] * N,
    "infinities": [float("inf") if each == 3 else 0.0 for each in range(N)],
    "fractions": [decimal.Decimal(f"{each % 3}.5") for each in range(N)],
    "long texts": ["x" * 200_000 if each % 2 else "y" for each in range(N)],
}
NO_NUMBERS = {name: NO_LEVELS[name] for name in NO_LEVELS if name not in ("fractions", "long texts")} | {
    "datetimes": [datetime.datetime(2020, 1, 1 + each % 3) for each in range(N)],
    "dates": [datetime.date(2020, 1, 1 + each % 3) for each in range(N)],
    "times": [datetime.time(each % 3) for each in range(N)],
}


@pytest.mark.parametrize("use", [{"target": "b"}, {"categorical": ("b",)}], ids=["as classes", "as a category"])
@pytest.mark.parametrize("name", NO_LEVELS)
def test_cells_that_are_neither_text_nor_whole_numbers_are_no_classes(tmp_path, name, use):
    path = parquet(tmp_path, columns(b=NO_LEVELS[name]))
    with pytest.raises(InputError, match="column 'b'") as problem:
        load(path, **use)
    assert len(str(problem.value)) < 500


@pytest.mark.parametrize("name", NO_NUMBERS)
def test_columns_of_something_else_are_no_numbers_and_can_be_dropped(tmp_path, name):
    path = parquet(tmp_path, columns(b=NO_NUMBERS[name]))
    with pytest.raises(InputError, match="column 'b'"):
        load(path)
    assert load(path, drop=("b",)).shape == (1,)


def test_a_bad_number_is_named_by_row_and_column(tmp_path):
    for bad in (float("nan"), float("inf"), None):
        path = parquet(tmp_path, columns(b=[bad if each == 3 else 0.5 * each for each in range(N)]))
        with pytest.raises(InputError, match="row 4, column 'b'"):
            load(path)


def test_whole_numbers_beyond_64_bits_are_classes_of_their_own(tmp_path):
    big = 12345678901234567890123
    path = parquet(tmp_path, {"a": NUMBERS, "y": [decimal.Decimal(big + each) for each in CLASSES]})
    assert load(path).classes == (str(big), str(big + 1))
    path = tmp_path / "file.csv"
    path.write_text(
        "a,y\n" + "".join(f"{number},{big + each}\n" for number, each in zip(NUMBERS, CLASSES, strict=True))
    )
    assert load(path).classes == (str(big), str(big + 1))


BAD_PARQUET = {
    "no rows": pa.table({"a": pa.array([], pa.float64()), "y": pa.array([], pa.int64())}),
    "no columns": pa.table({}),
    "a column twice": pa.table([pa.array(NUMBERS), pa.array(NUMBERS), pa.array(CLASSES)], names=["a", "a", "y"]),
    "a column without a name": pa.table([pa.array(NUMBERS), pa.array(CLASSES)], names=["", "y"]),
}


@pytest.mark.parametrize("name", BAD_PARQUET)
def test_parquet_files_without_usable_columns_are_refused(tmp_path, name):
    with pytest.raises(InputError, match=r"file\.parquet"):
        load(parquet(tmp_path, BAD_PARQUET[name]))


def test_damaged_parquet_files_are_refused(tmp_path):
    path = parquet(tmp_path, columns(b=NUMBERS))
    whole = path.read_bytes()
    for content in (whole[: len(whole) // 2], whole[:-4], whole[:40] + b"\xff" * 40 + whole[80:]):
        path.write_bytes(content)
        with pytest.raises(InputError, match=r"file\.parquet is not a readable"):
            load(path)


BAD_TEXT = {
    "a quote without an end": f'a,y\n"1,0\n{TEXT}'.encode(),
    "a quote without an end in the last line": f'a,y\n{TEXT}"1,0'.encode(),
    "a quote without an end in the head": f'"a,y\n{TEXT}'.encode(),
    "Latin-1": f"a,y\n{TEXT}".replace("\n", ",é\n").encode("latin-1"),
    "UTF-16": f"a,y\n{TEXT}".encode("utf-16"),
    "compressed and cut short": gzip.compress(f"a,y\n{TEXT}".encode())[:-20],
    "compressed zeros": gzip.compress(b"\0" * 1000),
    "a bomb": gzip.compress(b"a,y\n" + b"1,0\n" * 5_000_000),
    "zeros": b"\0" * 1000,
    "zeros at the end": f"a,y\n{TEXT}".encode() + b"\0" * 100,
    "400 digits": f"a,y\n{TEXT}{'9' * 400},1\n".encode(),
    "5,000 digits as a class": f"a,y\n{TEXT}1,{'9' * 5000}\n".encode(),
}


@pytest.mark.parametrize("name", BAD_TEXT)
def test_text_files_that_are_no_tables_are_refused_in_one_short_sentence(tmp_path, name):
    path = tmp_path / "file.csv"
    path.write_bytes(BAD_TEXT[name])
    with pytest.raises(InputError, match=r"file\.csv") as problem:
        load(path)
    assert len(str(problem.value)) < 500


def test_pipes_folders_and_devices_are_refused_at_once(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", tmp_path, "/dev/zero"):
        with pytest.raises(InputError, match="found a folder or device"):
            load(path)


@pytest.mark.parametrize("name", ["data[1]", "data*", "data?"])
def test_file_names_are_no_patterns(tmp_path, name):
    pl.DataFrame(columns()).write_csv(tmp_path / f"{name}.csv")
    pl.DataFrame(columns()).write_parquet(tmp_path / f"{name}.parquet")
    (tmp_path / "data1.csv").write_text("other\n1\n")
    for suffix in ("csv", "parquet"):
        assert load(tmp_path / f"{name}.{suffix}").shape == (1,)


def test_a_small_file_of_more_rows_than_fit_in_memory_is_refused_by_its_head(tmp_path, monkeypatch):
    path = tmp_path / "file.parquet"
    pl.DataFrame(columns(a=pl.repeat(1.0, 10**6, eager=True), y=pl.repeat(1, 10**6, eager=True))).write_parquet(path)
    monkeypatch.setattr(memory, "available_memory", lambda: 10**7)
    monkeypatch.setattr(pl, "read_parquet", None)
    assert path.stat().st_size < 10**6
    with pytest.raises(InputError, match=r"1,000,000 rows and needs .* GB of memory"):
        load(path)


def test_a_text_file_larger_than_memory_is_refused_before_it_is_read(tmp_path, monkeypatch):
    path = tmp_path / "file.csv"
    path.write_text(f"a,y\n{TEXT}" + "1,0\n" * 10_000)
    with path.open("ab") as file:
        file.truncate(10**12)  # takes no room on the disk
    monkeypatch.setattr(pl, "read_csv", None)
    with pytest.raises(InputError, match=r"GB of memory"):
        load(path)
