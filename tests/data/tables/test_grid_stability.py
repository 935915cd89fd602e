import pytest
import torch

from withstand.data.tables.grid_stability import GridStability
from withstand.errors import InputError


def test_the_real_file_has_its_classes_and_never_gives_the_answer(data_root):
    splits = [GridStability(root=str(data_root)).load(part) for part in ("train", "validation", "test")]
    assert sum(split.y.bincount() for split in splits).tolist() == [3_620, 6_380]
    assert splits[0].classes == ("stable", "unstable")
    assert splits[0].shape == (12,)
    assert "stab" not in splits[0].features.names
    assert torch.equal(torch.cat([split.numbers for split in splits]).sort().values, torch.arange(10_000))


def test_nothing_to_read_is_reported(tmp_path):
    with pytest.raises(InputError, match=r"GridStability: expected grid/Data_for_UCI_named.csv or"):
        GridStability(root=str(tmp_path)).load("train")
