import gzip
import struct

import numpy as np
import pytest

from withstand.data.images.idx import load_idx, read_idx
from withstand.errors import InputError


def write(path, array, *, compress=True, kind=8):
    head = bytes((0, 0, kind, array.ndim)) + struct.pack(f">{array.ndim}I", *array.shape)
    content = head + array.astype(np.uint8).tobytes()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(content) if compress else content)


def write_set(folder, *, num_train=20, num_test=10, end=".gz"):
    for stem, count in (("train", num_train), ("t10k", num_test)):
        images = np.arange(count * 28 * 28).reshape(count, 28, 28) % 251
        write(folder / f"{stem}-images-idx3-ubyte{end}", images, compress=end == ".gz")
        write(folder / f"{stem}-labels-idx1-ubyte{end}", np.arange(count) % 10, compress=end == ".gz")


def load(root, part="train", **changes):
    options = {"folders": ("set", "."), "validation": 0.1, "classes": tuple("abcdefghij")}
    return load_idx("Who", part, root=str(root), **(options | changes))


@pytest.mark.parametrize("end", ["", ".gz"])
@pytest.mark.parametrize("folder", ["set", "."])
def test_files_are_read_compressed_or_not_in_a_folder_or_in_the_root(tmp_path, end, folder):
    write_set(tmp_path / folder, end=end)
    split = load(tmp_path, "test")
    assert len(split) == 10
    assert split.shape == (1, 28, 28)
    assert split.y.tolist() == list(range(10))
    assert split.x.flatten()[:300].tolist() == [k % 251 for k in range(300)]


def test_the_training_file_is_cut(tmp_path):
    write_set(tmp_path, num_train=100)
    assert len(load(tmp_path, "train")) == 90
    validation = load(tmp_path, "validation")
    assert len(validation) == 10
    assert validation.y.tolist() == (validation.numbers % 10).tolist()


def test_a_truncated_compressed_file_is_named(tmp_path):
    write_set(tmp_path)
    path = tmp_path / "t10k-images-idx3-ubyte.gz"
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(InputError, match=r"Who: .*t10k-images-idx3-ubyte\.gz cannot be read, it is damaged"):
        load(tmp_path, "test")


def test_a_truncated_plain_file_is_named(tmp_path):
    write_set(tmp_path, end="")
    path = tmp_path / "t10k-images-idx3-ubyte"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(InputError, match=r"idx3-ubyte must hold 7,840 values according to its header, got 7,839"):
        load(tmp_path, "test")


@pytest.mark.parametrize("content", [b"", b"\x00", b"\x00\x00\x08\x01", b"<html>", b"\x00\x00\x0d\x01\x00\x00\x00\x00"])
def test_what_is_not_an_idx_file_of_bytes_is_refused(tmp_path, content):
    path = tmp_path / "file"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"Who: .*file must be an IDX file of bytes with 1 axes"):
        read_idx("Who", path, num_axes=1)


def test_labels_where_images_should_be_are_refused(tmp_path):
    write_set(tmp_path)
    write(tmp_path / "t10k-images-idx3-ubyte.gz", np.arange(10))
    with pytest.raises(InputError, match="with 3 axes, which begins with 00000803, got 00000801"):
        load(tmp_path, "test")


def test_counts_sizes_and_labels_must_fit(tmp_path):
    write_set(tmp_path)
    labels = tmp_path / "t10k-labels-idx1-ubyte.gz"
    write(labels, np.arange(9))
    with pytest.raises(InputError, match=r"has 10 images, but .* has 9 labels"):
        load(tmp_path, "test")
    write(labels, np.arange(10) + 1)
    with pytest.raises(InputError, match="must hold labels 0 to 9, got 10"):
        load(tmp_path, "test")
    write(tmp_path / "t10k-images-idx3-ubyte.gz", np.zeros((10, 32, 32)))
    with pytest.raises(InputError, match="28 x 28 pixels, got 32 x 32"):
        load(tmp_path, "test")


def test_missing_files_are_named(tmp_path):
    with pytest.raises(InputError, match=r"Who: expected set/train-images-idx3-ubyte or .* under"):
        load(tmp_path)
