import re

import polars as pl
import pytest
import torch

from withstand.data.tables.formats import TableFile
from withstand.errors import InputError


def file(tmp_path, content, name="file.csv", **options):
    path = tmp_path / name
    if isinstance(content, pl.DataFrame):
        content.write_parquet(path)
    else:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return TableFile("Who", path, **options)


def test_numbers_are_read_in_the_wanted_order(tmp_path):
    table = file(tmp_path, "a,b,y\n1,-2.5e0,x\n 3 ,.5,z\n")
    assert table.columns == ("a", "b", "y")
    assert table.numbers(["b", "a"]).tolist() == [[-2.5, 1.0], [0.5, 3.0]]
    assert table.numbers(["a"]).dtype == torch.float64


@pytest.mark.parametrize("mark", [",", ";", "\t"])
def test_the_separator_is_taken_from_the_first_line(tmp_path, mark):
    table = file(tmp_path, "a,b\r\n1,x\r\n".replace(",", mark))
    assert table.columns == ("a", "b")
    assert table.labels("b").to_list() == ["x"]


def test_a_mark_of_byte_order_quotes_and_spaces_do_no_harm(tmp_path):
    table = file(tmp_path, b'\xef\xbb\xbf"a", b\n"1","x, y"\n')
    assert table.columns == ("a", "b")
    assert table.labels("b").to_list() == ["x, y"]


@pytest.mark.parametrize("cell", ["", "nan", "inf", "-inf", "abc", "1_0", "0x1", "1,5"])
def test_a_cell_that_is_no_finite_number_is_named_by_line_and_column(tmp_path, cell):
    table = file(tmp_path, f'a,y\n1,p\n2,q\n"{cell}",p\n')
    came = "an empty cell" if not cell else repr(cell)
    expected = f"Who: {tmp_path / 'file.csv'}, line 4, column 'a': expected a finite number, got {came}."
    with pytest.raises(InputError, match=f"^{re.escape(expected)}$"):
        table.numbers(["a"])


def test_lines_are_counted_as_an_editor_does(tmp_path):
    table = file(tmp_path, 'a,y\n1,"p\nq"\n\n2,r\n\nx,s\n')
    assert len(table) == 3
    with pytest.raises(InputError, match="line 7, column 'a'"):
        table.numbers(["a"])


def test_without_a_header_the_first_row_is_line_1(tmp_path):
    table = file(tmp_path, "1,p\r\nx,q\r\n", columns=("a", "y"))
    assert len(table) == 2
    with pytest.raises(InputError, match="line 2, column 'a'"):
        table.numbers(["a"])


def test_in_parquet_a_row_is_counted_from_1(tmp_path):
    table = file(tmp_path, pl.DataFrame({"a": [1.0, None], "y": ["p", "q"]}), "file.parquet")
    with pytest.raises(InputError, match="row 2, column 'a': expected a finite number, got an empty cell"):
        table.numbers(["a"])


def test_parquet_gives_the_same_as_csv(tmp_path):
    frame = pl.DataFrame({"a": [1, 2], "b": [True, False], "c": [0.5, 1.5], "y": [3, 1]})
    table = file(tmp_path, frame, "file.pq")
    assert table.numbers(["a", "b", "c"]).tolist() == [[1.0, 1.0, 0.5], [2.0, 0.0, 1.5]]
    assert table.labels("y").to_list() == ["3", "1"]


def test_a_column_of_text_is_no_column_of_numbers(tmp_path):
    table = file(tmp_path, "colour,y\nred,p\nblue,q\n")
    with pytest.raises(
        InputError, match=r"column 'colour': expected numbers, got text such as 'red' \(line 2\); .* in drop"
    ):
        table.numbers(["colour"])
    dates = pl.DataFrame({"day": pl.Series(["2020-01-01"]).str.to_date(), "y": ["p"]})
    with pytest.raises(InputError, match="column 'day': expected numbers, got Date"):
        file(tmp_path, dates, "file.parquet").numbers(["day"])


@pytest.mark.parametrize(
    ("cells", "is_text"),
    [
        (["red", "blue"], True),
        (["", "blue"], True),
        (["true", "false"], True),
        (["1", "blue"], False),
        (["blue", "1"], False),
        (["", ""], False),
        (["nan", "nan"], False),
        ([" 1.5 ", ""], False),
    ],
)
def test_a_column_without_any_number_is_text(tmp_path, cells, is_text):
    rows = "\n".join(f"{cell},p" for cell in cells)
    assert file(tmp_path, f"a,y\n{rows}\n").is_text("a") is is_text
    frame = pl.DataFrame(
        {"a": [cell or None for cell in cells], "y": ["p"] * len(cells)}, schema_overrides={"a": pl.String}
    )
    assert file(tmp_path, frame, "file.parquet").is_text("a") is is_text


@pytest.mark.parametrize(
    ("written", "labels"),
    [
        (["b", " a", "b"], ["b", "a", "b"]),
        (["1", "2.0", "10"], ["1", "2", "10"]),
        (["1", "x", "2.0"], ["1", "x", "2.0"]),
        ([1.0, 0.0], ["1", "0"]),
        ([True, False], ["true", "false"]),
    ],
)
def test_labels_are_text_or_whole_numbers(tmp_path, written, labels):
    assert file(tmp_path, pl.DataFrame({"y": written}), "file.parquet").labels("y").to_list() == labels
    cells = "\n".join(f"1,{each}" for each in written).lower()
    assert file(tmp_path, f"a,y\n{cells}\n").labels("y").to_list() == labels


def test_labels_that_are_fractions_or_empty_are_refused(tmp_path):
    with pytest.raises(InputError, match=r"line 3, column 'y': expected a class \(text or a whole .*, got 0.5"):
        file(tmp_path, "a,y\n1,2\n1,0.5\n").labels("y")
    with pytest.raises(InputError, match="line 3, column 'y': expected a class, got an empty cell"):
        file(tmp_path, "a,y\n1,2\n1,\n").labels("y")
    with pytest.raises(InputError, match=r"row 1, column 'y': expected a class .*, got NaN"):
        file(tmp_path, pl.DataFrame({"y": [float("nan"), 1.0]}), "file.parquet").labels("y")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a,b,a\n1,2,3\n", "has more than one column 'a'"),
        ("a, a\n1,2\n", "has more than one column 'a'"),
        (",a\n0,1\n", "line 1: column 1 has no name; .*index=False"),
        ("a,b\n", "has no rows"),
        ("", "is not a readable CSV or Parquet file"),
        ("a,b\n1,2\n1,2,3\n", "line 3: expected 2 cells, got 3"),
        (b"a,b\n1,\xff\n", "is not a readable CSV or Parquet file"),
        (b"PAR1\x00\x00", "is not a readable CSV or Parquet file"),
        (b"\x89PNG\r\n\x1a\n\x00\x00", "is not a readable CSV or Parquet file"),
    ],
)
def test_files_that_are_no_tables_are_refused(tmp_path, content, message):
    with pytest.raises(InputError, match=f"Who: .*file.csv.*{message}"):
        file(tmp_path, content)


def test_a_row_that_is_too_short_has_empty_cells(tmp_path):
    with pytest.raises(InputError, match="line 3, column 'b': expected a finite number, got an empty cell"):
        file(tmp_path, "a,b\n1,2\n1\n").numbers(["b"])


def test_a_headerless_file_must_have_the_known_number_of_columns(tmp_path):
    with pytest.raises(InputError, match="must have 3 columns, got 2"):
        file(tmp_path, "1,2\n", columns=("a", "b", "c"))


def test_missing_files_and_columns_are_named(tmp_path):
    with pytest.raises(InputError, match=r"Who: expected a CSV or Parquet file at .*nowhere.csv, found none"):
        TableFile("Who", tmp_path / "nowhere.csv")
    with pytest.raises(InputError, match=r"has no column 'colour'; did you mean color\?"):
        file(tmp_path, "color,y\n1,2\n").check_columns(["colour"])
