import pytest
import torch

from withstand.data.base import TensorSplit, check_part, check_shares, cut, to_unit
from withstand.data.places import find
from withstand.data.tables.features import fit_features
from withstand.errors import InputError


def test_a_cut_is_disjoint_complete_and_always_the_same():
    y = torch.arange(10).repeat_interleave(30)
    parts = cut(y, validation=0.1, test=0.2)
    assert {name: len(rows) for name, rows in parts.items()} == {"train": 210, "validation": 30, "test": 60}
    assert torch.equal(torch.cat(list(parts.values())).sort().values, torch.arange(300))
    again = cut(y, validation=0.1, test=0.2)
    assert all(torch.equal(parts[name], again[name]) for name in parts)


@pytest.mark.parametrize(("validation", "test"), [(-0.1, 0), (1, 0), (0.5, 0.5), (float("nan"), 0)])
def test_shares_that_leave_no_training_part_are_refused(validation, test):
    with pytest.raises(InputError, match="Who: validation and test must be shares"):
        check_shares("Who", validation, test)


def test_an_unknown_part_is_refused():
    with pytest.raises(InputError, match="Who: the part must be train, validation, test, got 'dev'"):
        check_part("Who", "dev")


def test_bytes_become_the_float_nearest_to_their_255th_part():
    k = torch.arange(256, dtype=torch.uint8)
    assert torch.equal(to_unit(k).double(), (k.double() / 255).float().double())


def test_a_file_that_is_nowhere_is_reported_with_all_places(tmp_path):
    with pytest.raises(InputError, match=r"Who: expected a or b under .*--data.root DIR"):
        find(str(tmp_path), "Who", "a", "b")


def test_augmentation_needs_a_seed_and_sees_the_numbers_in_the_file():
    def mark(x, numbers, seed):
        return torch.full_like(x, seed) + numbers[:, None]

    split = TensorSplit(
        torch.zeros(6, 2),
        torch.zeros(6),
        classes=("a", "b"),
        box=None,
        numbers=torch.arange(10, 16),
        augment=mark,
    ).select(torch.tensor([1, 4]))
    plan = [torch.tensor([1, 0])]
    (plain,) = split.batches(plan)
    (marked,) = split.batches(plan, augmentation_seed=100)
    assert plain.x.unique().tolist() == [0]
    assert marked.x[:, 0].tolist() == [114, 111]
    assert marked.number.tolist() == [14, 11]


def test_a_selection_keeps_what_is_known_of_the_features():
    features = fit_features(["a"], torch.arange(3.0)[:, None])
    split = TensorSplit(torch.zeros(3, 1), torch.zeros(3), classes=("a",), box=None, features=features)
    assert split.select(torch.tensor([2])).features == features


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_inputs_in_memory_must_be_finite(value):
    x = torch.zeros(3, 2)
    x[1, 1] = value
    for numbers, name in ((None, 1), (torch.tensor([4, 7, 9]), 7)):
        with pytest.raises(InputError, match=f"sample {name}"):
            TensorSplit(x, torch.zeros(3), classes=("a", "b"), box=None, numbers=numbers)


def test_weights_and_targets_of_a_regression_go_with_their_rows():
    y, weight = torch.tensor([0.5, -1.0, 2.25]), torch.tensor([1.0, 0.0, 3.0])
    split = TensorSplit(torch.arange(3.0)[:, None], y, classes=("",), box=None, weight=weight)
    for whole, rows in ((split, [2, 0]), (split.select(torch.tensor([0, 2])), [1, 0])):
        (sample,) = whole.batches([torch.tensor(rows)])
        assert sample.x[:, 0].tolist() == sample.number.tolist() == [2, 0]
        assert sample.y.tolist() == [2.25, 0.5]
        assert sample.weight.tolist() == [3.0, 1.0]
    assert next(TensorSplit(split.x, y, classes=("",), box=None).batches([torch.tensor([0])])).weight is None
