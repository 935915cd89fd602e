import json
import logging

import numpy as np
import pytest
import torch

from withstand.data.corrupted.cells import Gap
from withstand.data.corrupted.cifar10_c import Cifar10C
from withstand.data.corrupted.cifar100_c import CLASSES, Cifar100C
from withstand.data.corrupted.corrupted_arrays import CorruptedArrays
from withstand.data.images.array_split import ArraySplit
from withstand.errors import InputError

COUNT = 4  # images per severity


def images(seed=0, count=COUNT, size=(6, 5, 3)):
    return np.random.default_rng(seed).integers(0, 256, (5 * count, *size), dtype=np.uint8)


def grow(folder, names=("fog",), *, labels=(0, 2, 1, 2), **options):
    folder.mkdir(parents=True, exist_ok=True)
    for seed, name in enumerate(names):
        np.save(folder / f"{name}.npy", images(seed, **options))
    np.save(folder / "labels.npy", np.array(labels, dtype=np.uint8))


def data(root, **fields):
    return CorruptedArrays(root=str(root), **fields)


def test_a_severity_is_a_fifth_of_the_array(tmp_path):
    grow(tmp_path)
    for severity in range(1, 6):
        split = data(tmp_path, corruption="fog", severity=severity).load("test")
        assert (len(split), split.shape, split.box) == (COUNT, (3, 6, 5), (0.0, 1.0))
        (batch,) = split.batches([torch.arange(COUNT)])
        expected = images()[(severity - 1) * COUNT : severity * COUNT].transpose(0, 3, 1, 2)
        assert torch.equal(batch.x, torch.tensor(expected).float() / 255)
        assert batch.x.is_contiguous()
        assert batch.y.tolist() == [0, 2, 1, 2]
        assert batch.y.dtype == torch.int64


def test_labels_may_be_written_once_or_for_every_severity(tmp_path):
    grow(tmp_path, labels=(0, 2, 1, 2) * 5)
    split = data(tmp_path, corruption="fog", severity=3).load("test")
    assert split.y.tolist() == [0, 2, 1, 2]
    assert len(split.classes) == 3


def test_arrays_of_one_severity_are_not_read_as_five(tmp_path):
    grow(tmp_path, labels=range(5 * COUNT))
    for read in (data(tmp_path).cells, lambda: data(tmp_path, corruption="fog", severity=3).load("test")):
        with pytest.raises(InputError, match=r"CorruptedArrays: .*fog\.npy must hold .* five severities.*20 labels"):
            read()


def test_every_array_is_five_cells_in_the_published_order(tmp_path):
    grow(tmp_path, ("fog", "saturate", "shot_noise"))
    cells = data(tmp_path).cells()
    assert list(cells) == [
        f"{name}/{severity}" for name in ("shot_noise", "fog", "saturate") for severity in range(1, 6)
    ]
    assert cells["fog/2"] == data(tmp_path, corruption="fog", severity=2)
    assert list(data(tmp_path, severity=2).cells()) == ["shot_noise/2", "fog/2", "saturate/2"]
    assert not torch.equal(
        *(next(cells[name].load("test").batches([torch.arange(4)])).x for name in ("fog/1", "fog/2"))
    )


def test_absent_arrays_are_reported(tmp_path):
    grow(tmp_path, ("fog", "saturate"))
    with pytest.raises(InputError, match=r"CorruptedArrays: .* holds corrupted images, but none of snow 2\.$"):
        data(tmp_path, corruption="snow", severity=2).cells()
    gaps = data(tmp_path).missing()
    assert len(gaps) == 70
    assert gaps[0] == Gap("gaussian_noise/1", 0, COUNT)
    assert data(tmp_path, corruption="fog").missing() == []


def test_classes_have_the_names_in_the_file_or_their_numbers(tmp_path):
    grow(tmp_path)
    one = data(tmp_path, corruption="fog", severity=1)
    assert one.load("test").classes == ("0", "1", "2")
    (tmp_path / "classes.json").write_text(json.dumps(["ant", "bee", "cat", "dog"]))
    assert one.load("test").classes == ("ant", "bee", "cat", "dog")
    (tmp_path / "classes.json").write_text(json.dumps(["ant", "bee"]))
    with pytest.raises(InputError, match=r"labels\.npy must hold labels 0 to 1, got 0 to 2\."):
        one.load("test")


@pytest.mark.parametrize("content", ['{"a": 1}', '["a", 1]', '["a", "a"]', '["a"', "\ud800"])
def test_a_file_that_is_no_list_of_names_is_refused(tmp_path, content):
    grow(tmp_path)
    (tmp_path / "classes.json").write_bytes(content.encode("utf-8", "surrogatepass"))
    with pytest.raises(InputError, match=r"classes\.json (must hold a list of names|is damaged)"):
        data(tmp_path, corruption="fog", severity=1).load("test")


def test_the_published_sets_have_their_own_classes(tmp_path):
    grow(tmp_path / "CIFAR-10-C", size=(32, 32, 3))
    grow(tmp_path / "CIFAR-100-C", size=(32, 32, 3), labels=(0, 99, 5, 7))
    ten, hundred = (cls(root=str(tmp_path)).cells() for cls in (Cifar10C, Cifar100C))
    assert list(ten) == list(hundred) == [f"fog/{severity}" for severity in range(1, 6)]
    assert ten["fog/1"] == Cifar10C(root=str(tmp_path), corruption="fog", severity=1)
    assert ten["fog/1"].load("test").classes[:2] == ("airplane", "automobile")
    split = hundred["fog/1"].load("test")
    assert [split.classes[label] for label in split.y.tolist()] == ["apple", "worm", "bed", "beetle"]
    assert len(set(CLASSES)) == 100
    assert list(CLASSES) == sorted(CLASSES)
    assert len(Cifar10C(root=str(tmp_path)).missing()) == 70


def test_labels_beyond_the_classes_are_refused(tmp_path):
    grow(tmp_path, labels=(0, 10, 5, 7))
    with pytest.raises(InputError, match=r"Cifar10C: .*labels\.npy must hold labels 0 to 9, got 0 to 10"):
        Cifar10C(root=str(tmp_path), corruption="fog", severity=1).load("test")
    np.save(tmp_path / "labels.npy", np.array([0, -1, 0, 0]))
    with pytest.raises(InputError, match=r"CorruptedArrays: .* must hold labels of at least two classes, got -1 to 0"):
        data(tmp_path, corruption="fog", severity=1).load("test")
    np.save(tmp_path / "labels.npy", np.array([0, 2**62, 0, 0]))
    with pytest.raises(InputError, match=r"must hold labels 0 to 99999, got 0 to 4611686018427387904"):
        data(tmp_path, corruption="fog", severity=1).load("test")


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((20, 6, 5, 3)), r"fog\.npy must hold uint8 images .*, got float64 \(20, 6, 5, 3\)"),
        (np.zeros((20, 3, 6, 5), dtype=np.uint8), r"1 or 3 channels\), got uint8 \(20, 3, 6, 5\)"),
        (np.zeros((20, 6, 5), dtype=np.uint8), r"got uint8 \(20, 6, 5\)"),
        (np.zeros((19, 6, 5, 3), dtype=np.uint8), r"five times n images, .* got 19 images and 4 labels\."),
        (np.zeros((10, 6, 5, 3), dtype=np.uint8), r"got 10 images and 4 labels\."),
        (np.zeros((0, 6, 5, 3), dtype=np.uint8), r"fog\.npy (must hold uint8 images|cannot be read)"),
    ],
)
def test_arrays_of_a_wrong_shape_are_named(tmp_path, array, message):
    grow(tmp_path)
    np.save(tmp_path / "fog.npy", array)
    for read in (data(tmp_path).cells, lambda: data(tmp_path, corruption="fog", severity=1).load("test")):
        with pytest.raises(InputError, match=message):
            read()


def test_arrays_must_have_one_shape(tmp_path):
    grow(tmp_path, ("snow", "fog"))
    np.save(tmp_path / "fog.npy", images(size=(6, 6, 3)))
    with pytest.raises(
        InputError, match=r"fog\.npy must have the shape of snow\.npy, \(20, 6, 5, 3\), got \(20, 6, 6, 3\)"
    ):
        data(tmp_path).cells()


def test_an_array_of_objects_is_refused_and_runs_nothing(tmp_path):
    class Trap:
        def __reduce__(self):
            return (tmp_path / "sprung").mkdir, ()

    grow(tmp_path)
    for name in ("fog", "labels"):
        grow(tmp_path)
        np.save(tmp_path / f"{name}.npy", np.array([Trap()], dtype=object), allow_pickle=True)
        with pytest.raises(InputError, match=rf"{name}\.npy cannot be read as an array of numbers \(.*Python objects"):
            data(tmp_path, corruption="fog", severity=1).load("test")
    assert not (tmp_path / "sprung").exists()


def test_files_that_are_cut_short_of_another_kind_or_absent_are_named(tmp_path):
    grow(tmp_path)
    path, one = tmp_path / "fog.npy", data(tmp_path, corruption="fog", severity=1)
    whole = path.read_bytes()
    for content in (whole[:-1], whole[:50], b"", b"text", b"PK\x03\x04"):
        path.write_bytes(content)
        with pytest.raises(InputError, match=r"fog\.npy cannot be read as an array of numbers"):
            one.load("test")
    path.unlink()
    with pytest.raises(InputError, match=r"CorruptedArrays: expected an array at .*fog\.npy, found none"):
        one.load("test")
    with pytest.raises(InputError, match=r"expected arrays such as fog\.npy in .*, found none"):
        data(tmp_path).cells()
    (tmp_path / "labels.npy").unlink()
    with pytest.raises(InputError, match=r"expected an array at .*labels\.npy, found none"):
        data(tmp_path).cells()
    with pytest.raises(InputError, match=r"Cifar10C: expected CIFAR-10-C/labels\.npy or .* or labels\.npy under"):
        Cifar10C(root=str(tmp_path)).cells()


def test_other_arrays_are_ignored_with_one_warning(tmp_path, caplog):
    grow(tmp_path, ("fog", "rain", "clean"))
    with caplog.at_level(logging.WARNING, logger="withstand"):
        assert len(data(tmp_path).cells()) == 5
    (record,) = caplog.records
    assert record.getMessage() == "CorruptedArrays: no corruption, not read: clean.npy, rain.npy."


def test_one_cell_of_the_test_part_is_read_at_a_time(tmp_path):
    grow(tmp_path)
    with pytest.raises(InputError, match="CorruptedArrays: one cell at a time is read"):
        data(tmp_path, corruption="fog").load("test")
    with pytest.raises(InputError, match="corrupted images are a test part only, got the part 'train'"):
        data(tmp_path, corruption="fog", severity=1).load("train")
    with pytest.raises(InputError, match="CorruptedArrays: the part must be"):
        data(tmp_path, corruption="fog", severity=1).load("dev")
    for cls in (Cifar10C, Cifar100C):
        with pytest.raises(InputError, match=f"{cls.__name__}: severity must be"):
            cls(severity=7)


def test_an_array_stays_on_the_disk_and_its_batches_follow_their_plan(tmp_path):
    grow(tmp_path, size=(3, 3, 1))
    split = data(tmp_path, corruption="fog", severity=2).load("test")
    assert isinstance(split, ArraySplit)
    assert isinstance(split.images, np.memmap)
    plan = [torch.tensor([3, 0]), torch.tensor([], dtype=torch.int64), torch.tensor([1, 1])]
    batches = list(split.batches(plan, augmentation_seed=1))
    assert [batch.number.tolist() for batch in batches] == [[3, 0], [], [1, 1]]
    (whole,) = split.batches([torch.arange(4)])
    assert whole.x.shape == (4, 1, 3, 3)
    for rows, batch in zip(plan, batches, strict=True):
        assert all(torch.equal(got, wanted[rows]) for got, wanted in zip(batch[:3], whole[:3], strict=True))


def test_the_number_of_classes_may_be_given(tmp_path):
    grow(tmp_path)
    cell = data(tmp_path, num_classes=10).cells()["fog/2"]
    assert cell.load("test").classes == tuple(str(k) for k in range(10))
    with pytest.raises(InputError, match=r"must hold labels 0 to 1, got 0 to 2"):
        data(tmp_path, corruption="fog", severity=1, num_classes=2).load("test")
    (tmp_path / "classes.json").write_text(json.dumps(["a", "b", "c"]))
    assert data(tmp_path, corruption="fog", severity=1, num_classes=3).load("test").classes == ("a", "b", "c")
    with pytest.raises(InputError, match=r"num_classes must be 3, the names in .*classes\.json, got 10"):
        data(tmp_path, corruption="fog", severity=1, num_classes=10).load("test")
