import logging
import pickle

import numpy as np
import pytest
import torch

from withstand.data.images.cifar10 import Cifar10
from withstand.errors import InputError


def records(count, seed=0):
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (count, 3072), dtype=np.uint8), [k % 10 for k in range(count)]


def write_binary(path, count, seed=0):
    x, y = records(count, seed)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(np.concatenate([np.array(y, dtype=np.uint8)[:, None], x], axis=1).tobytes())


def write_python(path, count, seed=0, **changes):
    x, y = records(count, seed)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(pickle.dumps({b"data": x, b"labels": y} | changes, protocol=2))


def load(root, part="test", **options):
    return Cifar10(root=str(root), **options).load(part)


@pytest.mark.parametrize("place", [".", "cifar-10-batches-py", "cifar10/cifar-10-batches-py"])
def test_the_python_version_is_read(tmp_path, place):
    write_python(tmp_path / place / "test_batch", 20)
    split = load(tmp_path)
    x, y = records(20)
    assert split.x.flatten(1).tolist() == x.tolist()
    assert split.y.tolist() == y
    assert split.shape == (3, 32, 32)


@pytest.mark.parametrize("place", [".", "cifar-10-batches-bin", "cifar10/cifar-10-batches-bin-partial"])
def test_the_binary_version_is_read(tmp_path, place):
    write_binary(tmp_path / place / "test_batch.bin", 20)
    split = load(tmp_path)
    x, y = records(20)
    assert split.x.flatten(1).tolist() == x.tolist()
    assert split.y.tolist() == y


def test_the_training_files_that_are_there_are_read_in_order_and_the_rest_is_reported(tmp_path, caplog):
    write_binary(tmp_path / "data_batch_1.bin", 100)
    write_binary(tmp_path / "data_batch_3.bin", 50, seed=1)
    with caplog.at_level(logging.WARNING, logger="withstand"):
        train, validation = load(tmp_path, "train"), load(tmp_path, "validation")
    numbers = torch.cat([train.numbers, validation.numbers])
    assert torch.equal(numbers.sort().values, torch.arange(150))
    last = int(train.numbers[-1])
    assert train.x[-1].flatten().tolist() == records(50, seed=1)[0][last - 100].tolist()
    assert "Cifar10: data_batch_1.bin holds 100 of 10,000 records." in caplog.messages
    assert any("lacks data_batch_2.bin, data_batch_4.bin, data_batch_5.bin" in each for each in caplog.messages)


def test_sizes_that_are_no_whole_number_of_records_are_refused(tmp_path):
    write_binary(tmp_path / "test_batch.bin", 20)
    path = tmp_path / "test_batch.bin"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(
        InputError, match=r"Cifar10: .*test_batch.bin must hold records of 3,073 bytes each, got 61,459"
    ):
        load(tmp_path)
    path.write_bytes(b"")
    with pytest.raises(InputError, match="got 0 bytes"):
        load(tmp_path)


def test_labels_above_nine_are_refused(tmp_path):
    (tmp_path / "test_batch.bin").write_bytes(bytes([10]) + bytes(3072))
    with pytest.raises(InputError, match="must hold labels 0 to 9, got 10"):
        load(tmp_path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({b"labels": [1]}, "for each of its 1 labels, got an array of shape"),
        ({b"labels": "abc"}, "must hold an array `data` and a list `labels`"),
        ({b"data": [1, 2]}, "must hold an array `data` and a list `labels`"),
        ({b"labels": [0.5] * 20}, "labels that are whole numbers"),
        ({b"labels": [-1] * 20}, "labels 0 to 9, got -1"),
    ],
)
def test_a_pickle_with_other_content_is_refused(tmp_path, changes, message):
    write_python(tmp_path / "test_batch", 20, **{})
    x, y = records(20)
    (tmp_path / "test_batch").write_bytes(pickle.dumps({b"data": x, b"labels": y} | changes, protocol=2))
    with pytest.raises(InputError, match=message):
        load(tmp_path)


def test_nothing_to_read_is_reported(tmp_path):
    with pytest.raises(InputError, match=r"Cifar10: expected cifar-10-batches-py/data_batch_1 or .*--data.root DIR"):
        load(tmp_path, "train")


def test_only_training_images_are_augmented_and_only_if_wanted(tmp_path):
    write_binary(tmp_path / "data_batch_1.bin", 40)
    write_binary(tmp_path / "test_batch.bin", 40)

    def changed(part, **options):
        split = load(tmp_path, part, **options)
        plan = [torch.arange(len(split))]
        (plain,) = split.batches(plan)
        (batch,) = split.batches(plan, augmentation_seed=0)
        return not torch.equal(plain.x, batch.x)

    assert changed("train")
    assert not changed("train", augment=False)
    assert not changed("validation", validation=0.5)
    assert not changed("test")


def test_the_real_partial_files_have_their_counts(data_root, caplog):
    with caplog.at_level(logging.WARNING, logger="withstand"):
        splits = {part: load(data_root, part) for part in ("train", "validation", "test")}
    assert len(splits["train"]) + len(splits["validation"]) == 9_990
    assert splits["test"].y.bincount().tolist() == [1000] * 7 + [999, 980, 1000]
    assert "Cifar10: test_batch.bin holds 9,979 of 10,000 records." in caplog.messages
    (batch,) = splits["test"].batches([torch.arange(10)])
    assert torch.equal((batch.x * 255).round() / 255, batch.x)
