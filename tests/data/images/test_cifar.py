"""CIFAR-10 and CIFAR-100 in both versions, complete and damaged."""

import logging
import pickle

import numpy as np
import pytest
import torch

from withstand.data.images.cifar import load_cifar
from withstand.data.images.cifar10 import CIFAR10, Cifar10
from withstand.data.images.cifar100 import CIFAR100, Cifar100
from withstand.errors import InputError

DATA = {"Cifar10": Cifar10, "Cifar100": Cifar100}


@pytest.fixture(params=[CIFAR10, CIFAR100], ids=lambda each: each.who)
def cifar(request):
    return request.param


def records(cifar, count, seed=0):
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (count, 3072), dtype=np.uint8), [-(k + 1) % len(cifar.classes) for k in range(count)]


def content(cifar, count, seed=0):
    """Return what a file of the Python version holds."""
    x, y = records(cifar, count, seed)
    labels = {"labels": y} if cifar is CIFAR10 else {"coarse_labels": [label % 20 for label in y], "fine_labels": y}
    return {each.encode(): value for each, value in {"data": x, "batch_label": b"one", **labels}.items()}


def write_python(cifar, path, count, seed=0, **changes):
    path.parent.mkdir(parents=True, exist_ok=True)
    changes = {name.encode(): value for name, value in changes.items()}
    path.write_bytes(pickle.dumps(content(cifar, count, seed) | changes, protocol=2))


def write_binary(cifar, path, count, seed=0):
    x, y = records(cifar, count, seed)
    labels = np.array([[y], [[label % 20 for label in y], y]][cifar is CIFAR100], dtype=np.uint8).T
    path.with_suffix(".bin").parent.mkdir(parents=True, exist_ok=True)
    path.with_suffix(".bin").write_bytes(np.concatenate([labels, x], axis=1).tobytes())


WRITERS = pytest.mark.parametrize("write", [write_python, write_binary])


def load(cifar, root, part="test", **options):
    return DATA[cifar.who](root=str(root), **options).load(part)


@WRITERS
@pytest.mark.parametrize("below", ["", "folder"])
@pytest.mark.parametrize("version", [True, False])
def test_both_versions_are_read_wherever_they_lie(tmp_path, cifar, write, below, version):
    place = tmp_path / (below and cifar.who.lower())
    place /= cifar.versions[write is write_binary] if version else ""
    write(cifar, place / cifar.test, 20)
    split = load(cifar, tmp_path)
    x, y = records(cifar, 20)
    assert split.x.flatten(1).tolist() == x.tolist()
    assert split.y.tolist() == y
    assert (split.shape, split.classes, split.box) == ((3, 32, 32), cifar.classes, (0.0, 1.0))


def test_a_partial_binary_version_is_read(tmp_path):
    write_binary(CIFAR10, tmp_path / "cifar10" / "cifar-10-batches-bin-partial" / "test_batch", 20)
    assert load(CIFAR10, tmp_path).y.tolist() == records(CIFAR10, 20)[1]


def test_one_data_set_is_not_read_as_the_other(tmp_path, cifar):
    other = CIFAR100 if cifar is CIFAR10 else CIFAR10
    for write in (write_python, write_binary):
        write(other, tmp_path / cifar.test, 20)
        with pytest.raises(InputError, match=f"{cifar.who}: .*must hold"):
            load(cifar, tmp_path)
        (tmp_path / cifar.test).unlink(missing_ok=True)


def test_the_classes_are_the_published_ones():
    assert (len(CIFAR10.classes), len(CIFAR100.classes)) == (10, 100)
    assert [CIFAR100.classes[label] for label in (0, 19, 99)] == ["apple", "cattle", "worm"]


def test_the_training_files_that_are_there_are_read_in_order_and_the_rest_is_reported(tmp_path, caplog):
    write_binary(CIFAR10, tmp_path / "data_batch_1", 100)
    write_binary(CIFAR10, tmp_path / "data_batch_3", 50, seed=1)
    with caplog.at_level(logging.WARNING, logger="withstand"):
        train, validation = load(CIFAR10, tmp_path, "train"), load(CIFAR10, tmp_path, "validation")
    numbers = torch.cat([train.numbers, validation.numbers])
    assert torch.equal(numbers.sort().values, torch.arange(150))
    last = int(train.numbers[-1])
    assert train.x[-1].flatten().tolist() == records(CIFAR10, 50, seed=1)[0][last - 100].tolist()
    assert "Cifar10: data_batch_1.bin holds 100 of 10,000 records." in caplog.messages
    assert any("lacks data_batch_2.bin, data_batch_4.bin, data_batch_5.bin" in each for each in caplog.messages)


@WRITERS
def test_an_incomplete_training_file_of_cifar_100_is_read_and_reported(tmp_path, caplog, write):
    write(CIFAR100, tmp_path / "train", 200)
    with caplog.at_level(logging.WARNING, logger="withstand"):
        train, validation = load(CIFAR100, tmp_path, "train", validation=0.5), load(CIFAR100, tmp_path, "validation")
    assert len(train) == 100
    assert len(validation.classes) == len(set(train.y.tolist())) == 100
    assert any("200 of 50,000 records" in each for each in caplog.messages)


@WRITERS
def test_complete_files_are_not_reported(tmp_path, cifar, caplog, write):
    short = cifar._replace(records=dict.fromkeys(cifar.records, 20))
    write(cifar, tmp_path / cifar.test, 20)
    with caplog.at_level(logging.WARNING, logger="withstand"):
        load_cifar(short, "test", root=str(tmp_path), validation=0.1, augment=False)
    assert not caplog.messages


def test_sizes_that_are_no_whole_number_of_records_are_refused(tmp_path, cifar):
    write_binary(cifar, tmp_path / cifar.test, 20)
    path, record = tmp_path / f"{cifar.test}.bin", 3072 + cifar.label_bytes
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(
        InputError,
        match=rf"{cifar.who}: .*{path.name} must hold records of {record:,} bytes each, got {20 * record - 1:,}",
    ):
        load(cifar, tmp_path)
    path.write_bytes(b"")
    with pytest.raises(InputError, match="got 0 bytes"):
        load(cifar, tmp_path)


def test_labels_without_a_class_are_refused(tmp_path, cifar):
    last = len(cifar.classes) - 1
    (tmp_path / f"{cifar.test}.bin").write_bytes(bytes([last + 1] * cifar.label_bytes) + bytes(3072))
    with pytest.raises(InputError, match=f"must hold labels 0 to {last}, got {last + 1}; it is not {cifar.title}"):
        load(cifar, tmp_path)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("labels", [1], "for each of its 1 labels, got an array of shape"),
        ("labels", "abc", "must hold an array `data` and a list `{0.labels}`"),
        ("data", [1, 2], "must hold an array `data` and a list `{0.labels}`"),
        ("labels", [0.5] * 20, "labels that are whole numbers"),
        ("labels", [-1] * 20, "labels 0 to {1}, got -1"),
        ("labels", [100] * 20, "labels 0 to {1}, got 100"),
    ],
)
def test_a_pickle_with_other_content_is_refused(tmp_path, cifar, key, value, message):
    write_python(cifar, tmp_path / cifar.test, 20, **{cifar.labels if key == "labels" else key: value})
    with pytest.raises(InputError, match=message.format(cifar, len(cifar.classes) - 1)):
        load(cifar, tmp_path)


def test_damaged_pickles_are_refused(tmp_path, cifar):
    path = tmp_path / cifar.test
    write_python(cifar, path, 20)
    whole = path.read_bytes()
    for damaged in (whole[:-1], whole[: len(whole) // 2], b"", b"text"):
        path.write_bytes(damaged)
        with pytest.raises(InputError, match=f"{cifar.who}: .*{cifar.test} is damaged"):
            load(cifar, tmp_path)


def test_nothing_to_read_is_reported(tmp_path, cifar):
    with pytest.raises(
        InputError, match=rf"{cifar.who}: expected {cifar.versions[0]}/{cifar.train[0]} or .*--data.root DIR"
    ):
        load(cifar, tmp_path, "train")


def test_only_training_images_are_augmented_and_only_if_wanted(tmp_path, cifar):
    for name in (cifar.train[0], cifar.test):
        write_binary(cifar, tmp_path / name, 200)

    def changed(part, **options):
        split = load(cifar, tmp_path, part, **options)
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
        splits = {part: load(CIFAR10, data_root, part) for part in ("train", "validation", "test")}
    assert len(splits["train"]) + len(splits["validation"]) == 9_990
    assert splits["test"].y.bincount().tolist() == [1000] * 7 + [999, 980, 1000]
    assert "Cifar10: test_batch.bin holds 9,979 of 10,000 records." in caplog.messages
    (batch,) = splits["test"].batches([torch.arange(10)])
    assert torch.equal((batch.x * 255).round() / 255, batch.x)
