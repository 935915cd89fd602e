"""Files of images and labels whose contents claim too much, hold what no tensor can, or are left out."""

import gzip
import pickle
import struct
import zlib

import numpy as np
import pytest
import torch
from PIL import Image

from withstand.data.corrupted.corrupted_arrays import CorruptedArrays
from withstand.data.images.array_pickle import read_array_pickle
from withstand.data.images.cifar import read_python
from withstand.data.images.cifar10 import CIFAR10
from withstand.data.images.cifar100 import CIFAR100
from withstand.data.images.class_map import ClassMap
from withstand.data.images.idx import read_idx
from withstand.data.images.image_file import read_image
from withstand.data.images.image_folder import ImageFolder
from withstand.data.wrapped import WrappedSplit
from withstand.errors import InputError
from withstand.experiment import Experiment, run
from withstand.measuring.ask import read_results
from withstand.measuring.question import Question
from withstand.models.small_cnn import SmallCNN
from withstand.reading import places
from withstand.training.settings import Training


def zipped(head, megabytes):
    packer = zlib.compressobj(wbits=31)
    parts = [packer.compress(head), *(packer.compress(bytes(1 << 20)) for _ in range(megabytes)), packer.flush()]
    return b"".join(parts)


def test_a_zipped_file_is_unpacked_no_further_than_its_header_says(tmp_path, monkeypatch):
    path = tmp_path / "labels.gz"
    path.write_bytes(zipped(struct.pack(">4BI", 0, 0, 8, 1, 10), 64))
    taken = []

    class Counted(gzip.GzipFile):
        def read(self, size=-1):
            taken.append(size)
            return super().read(size)

    monkeypatch.setattr(places.gzip, "open", Counted)
    with pytest.raises(InputError, match="10 values according to its header"):
        read_idx("Mnist", path, num_axes=1)
    assert taken == [8, 11]


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_a_header_that_claims_more_than_there_can_be_is_refused(tmp_path, pack):
    path = tmp_path / "images"
    path.write_bytes(pack(struct.pack(">4B3I", 0, 0, 8, 3, 2**32 - 1, 2**32 - 1, 28) + bytes(100)))
    with pytest.raises(InputError, match="in its header"):
        read_idx("Mnist", path, num_axes=3)


@pytest.mark.parametrize(
    "label",
    [100, -1, 256, 2**63, -(2**63) - 1, 2**70, 10**5000],
    ids=lambda each: f"{each:.0e}" if each < 2**80 else "digits",
)
@pytest.mark.parametrize("cifar", [CIFAR10, CIFAR100], ids=lambda each: each.who)
def test_labels_that_no_tensor_can_hold_are_refused(tmp_path, cifar, label):
    path = tmp_path / cifar.test
    monster = {"data": np.zeros((2, 3072), np.uint8), cifar.labels: [0, label]}
    path.write_bytes(pickle.dumps(monster, protocol=2))
    with pytest.raises(InputError, match=f"must hold labels 0 to {len(cifar.classes) - 1}"):
        read_python(cifar, path)


def pairs_of_pairs(levels):
    """Return the steps of a pickle that make a pair of one pair, twice, and so on: its hash takes 2 ** levels steps."""
    steps = [b"h%c\x86q%c" % (level, level + 1) for level in range(levels)]
    return b"K\x01q\x00" + b"".join(steps)


@pytest.mark.parametrize(
    "content",
    [
        b"\x80\x02}" + pairs_of_pairs(60) + b"K\x01s.",
        b"\x80\x02}(" + pairs_of_pairs(60) + b"K\x01u.",
        b"\x80\x04\x8f(" + pairs_of_pairs(60) + b"\x90.",
        b"\x80\x04(" + pairs_of_pairs(60) + b"\x91.",
        b"\x80\x02}K\x01K\x01s.",
        b"\x80\x04\x8e" + struct.pack("<Q", 2**40) + b"x",
        b"\x80\x02" + b"]" * 100_000 + b"a" * 99_999 + b".",
    ],
    ids=["key", "keys", "set", "frozen set", "number as key", "1 TB", "deep"],
)
def test_pickles_of_endless_structures_are_refused_at_once(tmp_path, content):
    path = tmp_path / "test_batch"
    path.write_bytes(content)
    with pytest.raises(InputError, match="damaged or not a data file"):
        read_array_pickle("Cifar10", path)


def array(shape, kind="|u1"):
    text = f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}".encode()
    text += b" " * (64 - (len(text) + 11) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text


@pytest.mark.parametrize(
    "head",
    [
        array("(50000000000, 32, 32, 3)"),
        array("(5, 4611686018427387904, 4, 3)"),
        array("(-5, 32, 32, 3)"),
        array(f"(5, {'9' * 400}, 8, 3)"),
        array("(5,)", "|O"),
        array("(" * 2000 + ")" * 2000),
        array("'x'"),
        array("(5, 8, 8, 3)").replace(b"}", b" "),
        array("(0, 8, 8, 3)"),
        b"",
    ],
    ids=["huge", "overflow", "negative", "digits", "objects", "deep", "text", "open", "none", "empty"],
)
def test_arrays_whose_header_claims_any_shape_are_refused_without_a_warning(tmp_path, head):
    np.save(tmp_path / "labels.npy", np.arange(10) % 2)
    (tmp_path / "fog.npy").write_bytes(head + bytes(100) * bool(head))
    with pytest.raises(InputError, match=r"fog\.npy"):  # warnings are errors in tests
        CorruptedArrays(root=str(tmp_path), corruption="fog", severity=1).load("test")


@pytest.mark.parametrize("text", ['{"cat": ' + "9" * 5000 + "}", '{"cat": ' + "[" * 20_000, '{"cat": 1e400}'])
def test_class_maps_with_endless_numbers_or_depth_are_refused(tmp_path, text):
    path = tmp_path / "map.json"
    path.write_text(text)
    with pytest.raises(InputError, match=r"map\.json"):
        ClassMap.read("ImageFolder", str(path))


def png(width, height):
    def chunk(name, content):
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    parts = [(b"IHDR", head), (b"IDAT", zlib.compress(bytes(1 << 20))), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*each) for each in parts)


@pytest.mark.parametrize(("width", "height"), [(10_000, 10_000), (20_000, 20_000), (2**31 - 1, 2**31 - 1), (1, 10**7)])
def test_images_with_too_many_pixels_are_refused_before_they_are_decoded(tmp_path, width, height):
    path = tmp_path / "bomb.png"
    path.write_bytes(png(width, height))
    with pytest.raises(OSError, match="pixels"):
        read_image(path, pixels=8, resize=8)


def folder(root, *, count=4):
    for name in ("cat", "dog"):
        (root / name).mkdir(parents=True)
        for number in range(count):
            values = np.random.default_rng(number).integers(0, 256, (8, 8, 3), dtype=np.uint8)
            Image.fromarray(values).save(root / name / f"{number}.png")


def data(root):
    return ImageFolder(root=str(root), pixels=8, resize=8, on_bad_image="skip", validation_share=0.0)


def test_files_that_are_left_out_are_counted_in_the_notes(tmp_path):
    folder(tmp_path)
    (tmp_path / "loose.png").write_bytes((tmp_path / "cat" / "0.png").read_bytes())
    for name in ("a.heic", "b.txt", "c.tga"):
        (tmp_path / "cat" / name).write_bytes(b"x")
    (tmp_path / "empty").mkdir()
    split = data(tmp_path).load("test")
    assert len(split) == 8
    told = Question.of(split, ["clean"]).notes
    counts = (": 1 images beside", ": 3 files without", ": 1 class folders without")
    assert [each for each in counts if each in str(told)] == list(counts)


def test_a_complete_folder_has_no_notes(tmp_path):
    folder(tmp_path)
    assert data(tmp_path).load("test").notes == ()


def test_images_that_a_training_leaves_out_are_counted_in_the_notes_of_the_run(tmp_path):
    for part in ("train", "val"):
        folder(tmp_path / part)
    (tmp_path / "train" / "cat" / "bad.png").write_bytes(b"x")
    training = Training(epochs=1, batch_size=4)
    experiment = Experiment(data=data(tmp_path), model=SmallCNN(width=4), training=training)
    notes = read_results(run(experiment, tmp_path / "runs")).notes
    assert any("In training" in each and "1 of 9 images" in each for each in notes)


def test_a_class_map_is_recommended_only_where_there_is_one(tmp_path):
    (tmp_path / "cat").mkdir()
    Image.new("RGB", (8, 8)).save(tmp_path / "cat" / "0.png")
    with pytest.raises(InputError, match="with a class_map one is enough"):
        data(tmp_path).load("test")
    (tmp_path / "map.json").write_text('{"cat": 0}')
    with pytest.raises(InputError) as found:
        ImageFolder(root=str(tmp_path), pixels=8, resize=8, class_map=str(tmp_path / "map.json")).load("test")
    assert "is enough" not in str(found.value)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 7.0])
def test_a_bad_value_in_an_image_is_reported_with_the_samples_name(value):
    class Named(list):
        samples = [("cat/0.png", 0), ("dog/`1`.png", 1)]  # noqa: RUF012

    split = WrappedSplit(Named([(torch.zeros(3, 8, 8), 0), (torch.full((3, 8, 8), value), 1)]))
    with pytest.raises(InputError, match=r"sample 1 \(dog/`1`\.png\)"):
        list(split.batches([torch.arange(2)]))
