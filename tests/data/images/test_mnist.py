import pytest
import torch

from withstand.data.images.mnist import Mnist
from withstand.errors import InputError


def test_the_real_files_have_60000_and_10000_digits(data_root):
    splits = {part: Mnist(root=str(data_root)).load(part) for part in ("train", "validation", "test")}
    assert len(splits["train"]) + len(splits["validation"]) == 60_000
    assert len(splits["test"]) == 10_000
    assert splits["test"].y[:5].tolist() == [7, 2, 1, 0, 4]
    numbers = torch.cat([splits["train"].numbers, splits["validation"].numbers])
    assert torch.equal(numbers.sort().values, torch.arange(60_000))


def test_the_folder_of_torchvision_is_found(tmp_path, data_root):
    (tmp_path / "MNIST").mkdir()
    (tmp_path / "MNIST" / "raw").symlink_to(data_root / "mnist")
    assert len(Mnist(root=str(tmp_path)).load("test")) == 10_000


def test_nothing_to_read_is_refused(tmp_path):
    with pytest.raises(InputError, match="Mnist: expected mnist/t10k-images"):
        Mnist(root=str(tmp_path)).load("test")
