import pytest
import torch

from withstand.data.table_file import TableFile
from withstand.data.tabular import fit_scaling, load_tabular
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
    scaling = load(file).scaling
    for part in ("train", "validation", "test"):
        split = load(file, part)
        expected = (rows[split.numbers] - torch.tensor(scaling.mean)) / torch.tensor(scaling.std)
        assert split.scaling == scaling
        assert torch.allclose(split.x.double(), expected, atol=1e-6)


def test_parts_are_disjoint_and_cover_the_file(file):
    numbers = torch.cat([load(file, part).numbers for part in ("train", "validation", "test")])
    assert torch.equal(numbers.sort().values, torch.arange(100))


def test_without_scaling_the_numbers_stay(file):
    split = load(file, scale="none", features=["b"])
    assert split.scaling is None
    assert split.x[:, 0].tolist() == [(k * 7) % 11 for k in split.numbers.tolist()]


def test_a_feature_that_is_constant_in_training_is_only_centred():
    scaling = fit_scaling(["a"], torch.full((9, 1), 0.1, dtype=torch.float64))
    assert scaling.mean == (0.1,)
    assert scaling.std == (1.0,)


def test_classes_are_sorted_as_numbers_or_as_text(tmp_path):
    numbers = write(tmp_path / "n.csv", [(k, 0, (10, 9, -1)[k % 3]) for k in range(30)])
    assert load(numbers).classes == ("-1", "9", "10")
    texts = write(tmp_path / "t.csv", [(k, 0, ("10", "9", "x")[k % 3]) for k in range(30)])
    split = load(texts)
    assert split.classes == ("10", "9", "x")
    assert split.y.tolist() == [k % 3 for k in split.numbers.tolist()]


def test_an_own_test_file_is_taken_whole(tmp_path, file):
    other = write(tmp_path / "other.csv", [(1, 2, "q"), (3, 4, "p")])
    split = load(file, "test", test_file=other, test=0.0)
    assert split.y.tolist() == [1, 0]
    assert split.scaling == load(file, test=0.0).scaling
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
