import logging
import subprocess
import sys

import polars as pl
import pytest
import torch

from withstand.data import memory
from withstand.data.tables import categories, formats, preprocessing
from withstand.data.tables.formats import TableFile
from withstand.data.tables.preprocessing import load_tabular
from withstand.errors import InputError


def write(path, rows, header="a,b,y"):
    path.write_text("\n".join([header, *(",".join(map(str, row)) for row in rows)]) + "\n")
    return TableFile("Who", path)


def load(file, part="train", **changes):
    options = {"test_file": None, "target": "y", "features": ["a", "b"], "scale": "standard"}
    return load_tabular(part, file=file, **(options | {"validation": 0.2, "test": 0.2} | changes))


@pytest.fixture
def file(tmp_path):
    return write(tmp_path / "file.csv", [(k, (k * 7) % 11, "pq"[k % 2]) for k in range(100)])


def test_the_training_part_has_mean_0_and_std_1(file):
    x = load(file).x.double()
    assert x.mean(0).abs().max() < 1e-6
    assert (x.std(0, correction=0) - 1).abs().max() < 1e-6


def test_every_part_is_scaled_with_the_numbers_of_the_training_part(file):
    rows = torch.tensor([[k, (k * 7) % 11] for k in range(100)], dtype=torch.float64)
    known = load(file).features
    for part in ("train", "validation", "test"):
        split = load(file, part)
        expected = (rows[split.numbers] - torch.tensor(known.offset)) / torch.tensor(known.scale)
        assert split.features == known
        assert torch.allclose(split.x.double(), expected, atol=1e-6)


def test_parts_are_disjoint_and_cover_the_file(file):
    numbers = torch.cat([load(file, part).numbers for part in ("train", "validation", "test")])
    assert torch.equal(numbers.sort().values, torch.arange(100))


def test_without_scaling_the_numbers_stay(file):
    split = load(file, scale="none", features=["b"])
    assert (split.features.offset, split.features.scale) == ((0.0,), (1.0,))
    assert split.x[:, 0].tolist() == [(k * 7) % 11 for k in split.numbers.tolist()]


def test_features_that_never_change_in_training_are_refused_together(tmp_path):
    file = write(tmp_path / "file.csv", [(0.1, "red", k, "pq"[k % 2]) for k in range(9)], header="a,b,c,y")
    message = r"file.csv, columns 'a', 'b': expected at least two values in the training part, got one; .* in drop"
    with pytest.raises(InputError, match=f"Who: .*{message}"):
        load(file, features=["a", "b", "c"], categorical=["b"])
    with pytest.raises(InputError, match="column 'a': expected at least two values"):
        load(file, features=["a", "c"], scale="none")


def test_classes_are_sorted_as_numbers_or_as_text(tmp_path):
    numbers = write(tmp_path / "n.csv", [(k, k % 2, (10, 9, -1)[k % 3]) for k in range(30)])
    assert load(numbers).classes == ("-1", "9", "10")
    texts = write(tmp_path / "t.csv", [(k, k % 2, ("10", "9", "x")[k % 3]) for k in range(30)])
    split = load(texts)
    assert split.classes == ("10", "9", "x")
    assert split.y.tolist() == [k % 3 for k in split.numbers.tolist()]


def test_an_own_test_file_is_taken_whole(tmp_path, file):
    other = write(tmp_path / "other.csv", [(1, 2, "q"), (3, 4, "p")])
    split = load(file, "test", test_file=other, test=0.0)
    assert split.y.tolist() == [1, 0]
    assert split.features == load(file, test=0.0).features
    assert len(load(file, test_file=other, test=0.0)) == 80


def test_a_label_unseen_in_training_is_named(tmp_path, file):
    other = write(tmp_path / "other.csv", [(1, 2, "q"), (3, 4, "r")])
    with pytest.raises(InputError, match=r"Who: .*other.csv, line 3, column 'y': label 'r' does not occur in tr"):
        load(file, "test", test_file=other, test=0.0)


def test_a_bad_cell_of_the_test_file_is_named(tmp_path, file):
    other = write(tmp_path / "other.csv", [(1, "", "q")])
    with pytest.raises(InputError, match=r"other.csv, line 2, column 'b': expected a finite number, got an empty cell"):
        load(file, "test", test_file=other, test=0.0)


def test_one_class_only_is_refused(tmp_path):
    with pytest.raises(InputError, match="column 'y': expected at least two classes, got only 'p'"):
        load(write(tmp_path / "file.csv", [(1, 2, "p")] * 9))


def test_a_class_without_a_training_row_is_refused(tmp_path):
    file = write(tmp_path / "file.csv", [(k, k, "p") for k in range(9)] + [(1, 1, "q")])
    with pytest.raises(InputError, match="class 'q' has too few rows to leave any for training"):
        load(file, test=0.7, validation=0.2)


def test_numbers_beyond_32_bits_are_refused(tmp_path):
    file = write(tmp_path / "file.csv", [(k, 1e300 if k == 5 else k, "pq"[k % 2]) for k in range(20)])
    with pytest.raises(InputError, match="column 'b': its numbers are too large"):
        load(file, scale="none", validation=0.0, test=0.0)
    with pytest.raises(InputError, match="column 'b': its numbers are too large"):
        load(file, validation=0.0, test=0.0)


MIXED = {"features": ["price", "count", "colour"], "categorical": ["colour"]}


@pytest.fixture
def mixed(tmp_path):
    """A column of each kind; `colour` is blue, red, blue, green and again."""
    rows = [(k / 4, k % 5, ("blue", "red", "blue", "green")[k % 4], "pq"[k % 2]) for k in range(100)]
    return write(tmp_path / "mixed.csv", rows, header="price,count,colour,y")


def test_each_level_of_a_category_becomes_an_input_of_0_and_1(mixed):
    split = load(mixed, **MIXED)
    assert split.shape == (5,)
    assert split.features.names == ("price", "count", "colour=blue", "colour=green", "colour=red")
    assert split.features.columns == ("price", "count", "colour", "colour", "colour")
    assert split.features.offset[2:] == (0.0,) * 3
    assert split.features.scale[2:] == (1.0,) * 3
    expected = [[k % 2 == 0, k % 4 == 3, k % 4 == 1] for k in split.numbers.tolist()]
    assert split.x[:, 2:].tolist() == expected


def test_numbers_with_a_fraction_may_move_and_whole_numbers_and_categories_stay(mixed):
    features = load(mixed, **MIXED).features
    assert features.kinds == ("continuous", "integer", "category", "category", "category")
    assert features.movable == (True, False, False, False, False)


def test_the_caller_says_what_may_move(mixed):
    features = load(mixed, **MIXED, movable=["count"]).features
    assert features.kinds[:2] == ("continuous", "integer")
    assert features.movable == (False, True, False, False, False)
    assert not any(load(mixed, **MIXED, movable=[]).features.movable)
    with pytest.raises(
        InputError, match=r"mixed.csv, column 'colour': movable columns must be numbers, got a category"
    ):
        load(mixed, **MIXED, movable=["colour"])


def test_whole_numbers_are_scaled_like_others(mixed):
    x = load(mixed, **MIXED).x.double()
    assert x[:, 1].mean().abs() < 1e-6
    assert abs(x[:, 1].std(correction=0) - 1) < 1e-6


def test_whole_numbers_written_as_fractions_are_whole(tmp_path):
    file = write(tmp_path / "file.csv", [(f"{k}.0", k + 0.5, "pq"[k % 2]) for k in range(20)])
    assert load(file).features.kinds == ("integer", "continuous")


def test_columns_of_numbers_are_categories_where_the_caller_says_so(tmp_path):
    rows = [(k, (10, "9.0", 2)[k % 3], "pq"[k % 2]) for k in range(60)]
    split = load(write(tmp_path / "file.csv", rows), categorical=["b"])
    assert split.features.names == ("a", "b=2", "b=9", "b=10")
    assert split.x[:, 1:].argmax(1).tolist() == [(2, 1, 0)[k % 3] for k in split.numbers.tolist()]


@pytest.mark.parametrize("scale", ["standard", "none"])
def test_a_radius_goes_back_and_forth_between_units(mixed, scale):
    known = load(mixed, **MIXED, scale=scale).features
    split = load(mixed, **MIXED, scale=scale)
    price = torch.tensor([k / 4 for k in split.numbers.tolist()], dtype=torch.float64)
    low, high = price.quantile(torch.tensor([0.25, 0.75], dtype=torch.float64))
    assert known.iqr[0] == pytest.approx(float(high - low))
    assert known.scale[0] == (pytest.approx(float(price.std(correction=0))) if scale == "standard" else 1.0)
    moved = (price + 0.3 - known.offset[0]) / known.scale[0]
    assert torch.allclose(moved - split.x[:, 0].double(), torch.tensor(0.3 / known.scale[0]).double(), atol=1e-6)


def test_a_level_that_training_does_not_have_is_none_of_its_levels_and_said(tmp_path, mixed, caplog):
    rows = [(1.5, 2, "red", "p"), (1.5, 2, "pink", "q"), (1.5, 2, "pink", "q"), (1.5, 2, "7", "q")]
    other = write(tmp_path / "other.csv", rows, header="price,count,colour,y")
    split = load(mixed, "test", test_file=other, test=0.0, **MIXED)
    assert split.x[:, 2:].tolist() == [[0, 0, 1], [0, 0, 0], [0, 0, 0], [0, 0, 0]]
    (record,) = caplog.records
    message = "other.csv, column 'colour': 3 of 4 rows have a level unseen in training ('7', 'pink'); it"
    assert message in record.getMessage()


def test_levels_are_those_of_the_training_part(tmp_path, caplog):
    rows = [(k, f"only {k}" if k >= 90 else "ab"[k % 2], "pq"[k % 2]) for k in range(100)]
    file = write(tmp_path / "file.csv", rows)
    train, test = (load(file, part, categorical=["b"]) for part in ("train", "test"))
    assert train.features == test.features
    assert (train.x[:, 1:].sum(1) == 1).all()
    unknown = [k for k in test.numbers.tolist() if k >= 90]
    assert unknown
    assert test.numbers[test.x[:, 1:].sum(1) == 0].tolist() == unknown
    assert [f"{len(unknown)} of 20 rows" in record.getMessage() for record in caplog.records] == [True]


def test_a_category_with_an_empty_cell_a_fraction_or_very_many_levels_is_refused(tmp_path):
    empty = write(tmp_path / "empty.csv", [(k, "" if k == 3 else "uv"[k % 2], "pq"[k % 2]) for k in range(20)])
    with pytest.raises(InputError, match=r"empty.csv, line 5, column 'b': expected a category, got an empty cell"):
        load(empty, categorical=["b"])
    broken = write(tmp_path / "broken.csv", [(k, 0.5 if k == 3 else k, "pq"[k % 2]) for k in range(20)])
    with pytest.raises(InputError, match=r"line 5, column 'b': expected a category \(text or a whole num.*got 0.5"):
        load(broken, categorical=["b"])
    many = write(tmp_path / "many.csv", [(k, f"name {k}", "pq"[k % 2]) for k in range(1000)])
    with pytest.raises(InputError, match=r"column 'b': expected a category of at most 256 levels, got 600 .* in drop"):
        load(many, categorical=["b"])


def test_words_are_refused_where_the_caller_expects_numbers(tmp_path):
    file = write(tmp_path / "file.csv", [(k, "uv"[k % 2], "pq"[k % 2]) for k in range(20)])
    with pytest.raises(InputError, match=r"file.csv, column 'b': expected numbers, got text such as 'u' \(line 2\)"):
        load(file)


def test_a_column_of_numbers_that_is_text_in_the_test_file_is_refused(tmp_path, file):
    other = write(tmp_path / "other.csv", [(1, "low", "q"), (2, "high", "p")])
    with pytest.raises(InputError, match=r"other.csv, column 'b': expected numbers, got text such as 'low' \(line 2"):
        load(file, "test", test_file=other, test=0.0)


def test_some_columns_at_a_time_give_the_numbers_of_all_at_once(mixed, monkeypatch):
    """A category is split into its levels. Means may differ in the last bit, as PyTorch adds in another order."""
    frame = pl.DataFrame({name: mixed._column(name) for name in mixed.columns})
    path = mixed.path.with_suffix(".parquet")
    frame.with_columns(pl.col("price", "count").cast(pl.Float64)).write_parquet(path)
    once = {part: load(mixed, part, **MIXED) for part in ("train", "validation", "test")}
    for name in (formats, categories):
        monkeypatch.setattr(name, "VALUES_AT_ONCE", 250)
    for file in (mixed, TableFile("Who", path)):
        for part, expected in once.items():
            split = load(file, part, **MIXED)
            assert torch.equal(split.numbers, expected.numbers)
            assert torch.equal(split.y, expected.y)
            torch.testing.assert_close(split.x, expected.x, rtol=1e-6, atol=1e-7)
            assert split.features._replace(offset=(), scale=()) == expected.features._replace(offset=(), scale=())


def test_constant_and_too_large_columns_are_found_in_every_part_of_a_table(tmp_path, monkeypatch):
    monkeypatch.setattr(categories, "VALUES_AT_ONCE", 20)
    options = {"features": ["a", "b", "c"], "validation": 0.0, "test": 0.0}
    file = write(tmp_path / "a.csv", [(k, 1, 2, "pq"[k % 2]) for k in range(20)], header="a,b,c,y")
    with pytest.raises(InputError, match="columns 'b', 'c': expected at least two values"):
        load(file, **options)
    file = write(tmp_path / "b.csv", [(k, k, 1e300 * (k == 5), "pq"[k % 2]) for k in range(20)], header="a,b,c,y")
    with pytest.raises(InputError, match="column 'c': its numbers are too large"):
        load(file, **options)


def test_a_large_table_says_what_it_needs_and_is_refused_if_there_is_less(file, monkeypatch, caplog):
    monkeypatch.setattr(preprocessing, "LARGE", 1000)
    with caplog.at_level(logging.INFO, logger="withstand"):
        for part in ("train", "validation", "test"):
            load(file, part)
    assert caplog.messages == ["Who: 100 rows x 2 features: 0.0 GB of memory."]
    monkeypatch.setattr(memory, "available_memory", lambda: 1000)
    with pytest.raises(InputError, match=r"Who: 100 rows x 2 features needs 0\.0 GB of memory"):
        load(file)


@pytest.mark.slow
def test_the_parts_of_a_parquet_table_hold_little_more_than_its_numbers_in_32_bits(tmp_path):
    rows, columns = 1_000_000, 100
    x = pl.Series([each % 1000 + 0.25 for each in range(rows)], dtype=pl.Float32)
    path = tmp_path / "table.parquet"
    y = (x % 2 < 1).cast(pl.Int32)
    pl.DataFrame({f"f{each}": x.shift(each, fill_value=0.5) for each in range(columns)} | {"y": y}).write_parquet(path)
    script = (
        "import resource, sys; from withstand.experiment import load_parts; from withstand.data.tables.table import Table;"
        "peak = lambda: 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss; import polars; before = peak();"
        "parts = load_parts(Table(path=sys.argv[1], target='y')); print(peak() - before)"
    )
    done = subprocess.run([sys.executable, "-c", script, path], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 2.0 * 4 * rows * columns  # 1.0 for the parts, the rest does not grow with the columns
