"""Files that are much larger than what they hold: sparse ones here, which take no space."""

import gzip
import json
import os

import pytest
import torch
from PIL import Image

from withstand.copies.image_tree import ImageTree
from withstand.copies.layout import CorruptedCopy
from withstand.copies.writing import write_copy
from withstand.data.images.idx import read_idx
from withstand.data.images.image_file import read_image
from withstand.data.tables.table import Table
from withstand.errors import InputError
from withstand.models.weights import read_tensors
from withstand.perturbations.corruptions.imagenet_c.contrast import Contrast
from withstand.reading.places import open_packed

SIZE = 3 << 30


def lengthened(path):
    os.truncate(path, SIZE)
    return path


def test_zeros_behind_a_gzip_file_are_not_read_one_by_one(tmp_path):
    path = tmp_path / "labels.gz"
    path.write_bytes(gzip.compress(bytes((0, 0, 8, 1, 0, 0, 0, 2, 7, 9))))
    assert read_idx("Mnist", path, num_axes=1).tolist() == [7, 9]
    with path.open("ab") as file:
        file.write(bytes(512))  # as tapes are filled
    assert read_idx("Mnist", path, num_axes=1).tolist() == [7, 9]
    with pytest.raises(InputError, match="zeros"):
        read_idx("Mnist", lengthened(path), num_axes=1)


def test_nor_behind_a_packed_table(tmp_path):
    path = tmp_path / "table.csv.gz"
    path.write_bytes(gzip.compress(b"a,class\n1,x\n2,y\n" * 20))
    with pytest.raises((InputError, OSError), match="zeros"):
        Table(path=str(lengthened(path)), target="class").load("train")
    with pytest.raises(OSError, match="zeros"):
        open_packed(path)


@pytest.mark.parametrize("zipped", [True, False], ids=["a zip archive", "of another format"])
def test_weights_that_are_none_are_not_read_in_whole(zipped, tmp_path, monkeypatch):
    path = tmp_path / "net.pth"
    torch.save({"a": torch.ones(1)}, path) if zipped else path.write_bytes(b"{}")
    lengthened(path)
    monkeypatch.setattr(type(path), "read_bytes", lambda _: pytest.fail("the whole file is read"))
    with pytest.raises(InputError, match="damaged"):
        read_tensors(path)


def test_weights_in_the_format_before_zip_archives_are_read(tmp_path):
    path = tmp_path / "net.pth"
    torch.save({"a": torch.ones(1)}, path, _use_new_zipfile_serialization=False)
    assert torch.equal(read_tensors(path)["a"], torch.ones(1))


@pytest.mark.parametrize("end", ["webp", "png", "jpg", "tif", "bmp"])
def test_images_of_gigabytes_are_refused_before_a_decoder_reads_them(end, tmp_path):
    path = tmp_path / "images" / "a" / f"1.{end}"
    path.parent.mkdir(parents=True)
    Image.new("RGB", (40, 40)).save(path)
    lengthened(path)
    with pytest.raises(OSError, match="larger than"):
        read_image(path, pixels=8, resize=None)
    copy = CorruptedCopy(
        data=ImageTree(path=str(tmp_path / "images")), corruptions=(Contrast(severity=1),), format="same"
    )
    with pytest.raises(InputError, match="larger than"):
        write_copy(copy, tmp_path / "copy")


@pytest.mark.parametrize("name", ["num_samples", "left_out", "masks", "nearest_sizes", "num_other_files"])
def test_a_manifest_without_a_number_that_is_read_is_damaged(name, tmp_path):
    (tmp_path / "images" / "a").mkdir(parents=True)
    Image.new("RGB", (40, 40)).save(tmp_path / "images" / "a" / "1.png")
    copy = CorruptedCopy(
        data=ImageTree(path=str(tmp_path / "images")), corruptions=(Contrast(severity=1),), format="same"
    )
    write_copy(copy, tmp_path / "copy")
    path = tmp_path / "copy" / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {name: None}))
    with pytest.raises(InputError, match="no manifest"):
        write_copy(copy, tmp_path / "copy")
