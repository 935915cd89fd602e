"""Numbers and empty cells as people write them: read as asked, or refused with the option's name."""

import gzip
import json

import polars as pl
import pytest
import torch

from withstand.configuration import identity, to_plain
from withstand.data.tables.table import Table
from withstand.errors import InputError

N = 60


def write(tmp_path, cell, *, name="file.csv", separator=";", encoding="utf-8", packed=False):
    """Write a table of a number, a cell by row, and a class."""
    lines = ["a;b;y", *(f"{k % 7}.25;{cell(k)};{'pq'[k * k % 3 % 2]}" for k in range(N))]
    content = "\r\n".join(line.replace(";", separator) for line in lines).encode(encoding)
    (tmp_path / name).write_bytes(gzip.compress(content) if packed else content)
    return str(tmp_path / name)


def load(path, part="train", **fields):
    return Table(**({"path": path, "target": "y", "features": ("b",), "scale": "none"} | fields)).load(part)


def values(split):
    return dict(zip(split.numbers.tolist(), split.x[:, 0].tolist(), strict=True))


ANOTHER_NOTATION = {
    "a decimal comma": (lambda k: f"{k},5", r"--data\.decimal"),
    "a decimal comma and three digits": (lambda k: f"{k},125", r"--data\.decimal ',' or --data\.thousands ','"),
    "thousands": (lambda k: f"{k + 1},250,000", r"--data\.thousands ','"),
    "thousands and a decimal point": (lambda k: f"1,{100 + k}.5", r"--data\.thousands ','"),
    "thousands and a decimal comma": (lambda k: f"1.{100 + k},5", r"--data\.decimal ',' --data\.thousands '\.'"),
    "blanks": (lambda k: f"1 {100 + k}", r"--data\.thousands ' '"),
    "narrow blanks": (lambda k: f"1\u202f{100 + k}", r"--data\.thousands ' '"),
    "apostrophes": (lambda k: f"1'{100 + k}", r"--data\.thousands"),
    "underscores": (lambda k: f"1_{100 + k}", r"--data\.thousands _"),
    "per cent": (lambda k: f"{k} %", "percentages"),
    "hexadecimal": (lambda k: hex(k), "hexadecimal"),
    "money": (lambda k: f"{k}.50 €", "money"),
    "money first": (lambda k: f"${k}.50", "money"),
    "units": (lambda k: f"{k}.5 kg", "unit kg"),
    "dates": (lambda k: f"2020-01-{k % 28 + 1:02}", "dates"),
    "German dates": (lambda k: f"{k % 28 + 1}.1.2020", "dates"),
    "times": (lambda k: f"2020-01-01T10:{k}:00", "dates"),
    "hours": (lambda k: f"10:{k:02}", "times"),
    "another minus": (lambda k: f"\u2212{k}.5", "another sign"),
    "parentheses": (lambda k: f"({k}.5)", "another sign"),
    "mostly placeholders": (lambda k: "n/a" if k % 3 else f"{k},5", r"--data\.decimal"),
    "one among numbers": (lambda k: "1,5" if k == 9 else f"{k}", r"--data\.decimal"),
}


@pytest.mark.parametrize("name", ANOTHER_NOTATION)
@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_numbers_in_another_notation_are_never_categories(tmp_path, name, suffix):
    cell, advice = ANOTHER_NOTATION[name]
    path = write(tmp_path, cell)
    if suffix == "parquet":
        frame = pl.read_csv(path, separator=";", infer_schema=False).with_columns(pl.col("a").cast(pl.Float64))
        frame.write_parquet(tmp_path / "file.parquet")
        path = str(tmp_path / "file.parquet")
    with pytest.raises(InputError, match=rf"column 'b': .*{advice}.*--data\.categorical or --data\.drop\.$"):
        load(path)
    assert load(path, categorical=("b",)).features.kinds[0] == "category"


WORDS = {
    "colours": lambda k: ("red", "blue")[k % 2],
    "ages": lambda k: ("18-24", "25-34", "35+")[k % 3],
    "incomes": lambda k: ("<=50K", ">50K")[k % 2],
    "two sizes": lambda k: ("2 doors", "4 doors")[k % 2],
    "codes": lambda k: ("A1", "B2", "C30")[k % 3],
    "versions": lambda k: ("1.2.3", "1.2.4")[k % 2],
    "ranks": lambda k: ("1st", "2nd", "3rd")[k % 3],
    "some numbers among words": lambda k: ("1,5", "low", "high")[k % 3],
}


@pytest.mark.parametrize("name", WORDS)
def test_words_with_digits_stay_categories(tmp_path, name):
    assert set(load(write(tmp_path, WORDS[name])).features.kinds) == {"category"}


@pytest.mark.parametrize(
    ("cell", "fields", "value"),
    [
        (lambda k: f"{k},5", {"decimal": ","}, lambda k: k + 0.5),
        (lambda k: f" -{k},5e1 ", {"decimal": ","}, lambda k: -10 * k - 5.0),
        (lambda k: f"1.{100 + k},5", {"decimal": ",", "thousands": "."}, lambda k: 1100.5 + k),
        (lambda k: f"1\u202f{100 + k}", {"thousands": " "}, lambda k: 1100.0 + k),
        (lambda k: f"1\u2019{100 + k}.5", {"thousands": "'"}, lambda k: 1100.5 + k),
        (lambda k: f"{k * 1000:,}", {"thousands": ","}, lambda k: 1000.0 * k),
    ],
)
def test_notations_are_read_as_asked(tmp_path, cell, fields, value):
    found = values(load(write(tmp_path, cell), **fields))
    assert found == {k: value(k) for k in found}


@pytest.mark.parametrize("cell", ["1.5", "1.00", "12.34.5", "1,2,3", "1.234.5"])
def test_digits_are_not_regrouped(tmp_path, cell):
    path = write(tmp_path, lambda k: cell if k == 9 else f"{k},5")
    with pytest.raises(InputError, match="column 'b': expected "):
        load(path, decimal=",", thousands=".")


@pytest.mark.parametrize("word", ["?", "n/a", "-", "NaN", "yes"])
def test_a_stray_word_among_numbers_is_refused_with_the_option_that_makes_it_empty(tmp_path, word):
    path = write(tmp_path, lambda k: word if k == 9 else k, separator="\t")
    with pytest.raises(InputError, match=r"line 11, column 'b'.* --data\.empty .* --data\.missing impute"):
        load(path)
    split = load(path, empty=(word,), missing="drop")
    assert 9 not in values(split)


def test_a_separator_that_leaves_one_column_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"line 1: .*--data\.separator ';'"):
        load(write(tmp_path, str), separator=",")
    with pytest.raises(InputError, match=r"--data\.separator '\|'"):
        load(write(tmp_path, str, separator="|"))
    for mark, name in (("|", "|"), ("\t", "tab"), ("\t", "\\t"), (" ", " ")):
        assert values(load(write(tmp_path, str, separator=mark), separator=name))[0] == 0.0


@pytest.mark.parametrize("encoding", ["cp1252", "utf-16"])
def test_another_encoding_is_named_and_read(tmp_path, encoding):
    path = write(tmp_path, lambda k: "éü"[k % 2], encoding=encoding)
    with pytest.raises(InputError, match=rf"--data\.encoding {encoding}"):
        load(path)
    assert load(path, encoding=encoding).features.names == ("b=é", "b=ü")


@pytest.mark.parametrize("fields", [{}, {"encoding": "utf-16"}])
def test_packed_files_are_read_as_the_others(tmp_path, fields):
    plain = write(tmp_path, lambda k: k / 4)
    packed = write(tmp_path, lambda k: k / 4, name="file.csv.gz", packed=True, **fields)
    one, other = load(plain, features=None), load(packed, features=None, **fields)
    assert torch.equal(one.x, other.x)
    assert one.features == other.features
    path = write(tmp_path, lambda k: "x" if k == 9 else k, name="file.csv.gz", packed=True)
    with pytest.raises(InputError, match="line 11, column 'b'"):
        load(path)


@pytest.mark.parametrize(
    "fields",
    [
        *({"separator": each} for each in ("ab", '"', "é")),
        *({"encoding": each} for each in ("hex", "no")),
        {"decimal": ",", "thousands": ","},
        {"decimal": ";"},
        {"missing": "skip"},
    ],
)
def test_fields_that_fit_no_file_are_refused_at_once(fields):
    with pytest.raises(InputError, match=f"Table: {next(reversed(fields))}|Table: thousands"):
        Table(path="p", target="y", **fields)


def test_at_their_defaults_later_fields_change_no_identity():
    table = Table(path="p", target="y")
    assert identity(table) == "b748d0328c542821"
    assert to_plain(Table(path="p", target="y", empty=("?",)))["init_args"]["empty"] == ["?"]


def test_the_decimal_comma_file_has_a_true_worst_case_only_with_its_option(tmp_path, capsys):
    from withstand.cli import main

    lines = [f"{k % 2},{k % 10};{k % 5},5;{'pq'[k % 2]}" for k in range(100)]
    (tmp_path / "file.csv").write_text("\n".join(["a;b;y", *lines]))
    options = ["--data=table", "--data.path", str(tmp_path / "file.csv"), "--data.target=y", "--model=mlp"]
    words = ["train", *options, "--epochs=20", "--quiet", "--output", str(tmp_path / "runs")]
    assert main(words) == 2
    assert "--data.decimal" in capsys.readouterr().err
    assert not (tmp_path / "runs").exists()
    assert main([*words, "--data.decimal", ","]) == 0
    capsys.readouterr()
    (run,) = (tmp_path / "runs").iterdir()
    assert main(["evaluate", str(run), "--on", "clean", "worst-case", "--radius=5", "--format=json"]) == 0
    rows = json.loads(capsys.readouterr().out)["rows"]
    found = {row["measure"]: row["value"] for row in rows}
    assert found["top1"] > 0.9
    assert found["worst_case_top1"] < 0.1


@pytest.mark.parametrize("encoding", ["utf_8", "U8", "UTF-8"])
def test_utf8_by_any_name_loses_its_mark(tmp_path, encoding):
    path = write(tmp_path, str, encoding="utf-8-sig")
    assert load(path, features=("a",), encoding=encoding).features.names == ("a",)
