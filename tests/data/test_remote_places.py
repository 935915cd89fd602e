"""Data in object stores, with fsspec's file system in memory: all values are those of the same local files."""

import ast
import logging
import multiprocessing
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import withstand
import withstand as ws
from withstand.data.base import TensorSplit
from withstand.data.corrupted.corrupted_arrays import CorruptedArrays
from withstand.data.corrupted.corrupted_folder import CorruptedFolder
from withstand.data.images.cifar10 import Cifar10
from withstand.data.images.decoding import Decoding
from withstand.data.images.image_file import read_image
from withstand.data.images.image_folder import ImageFolder
from withstand.data.images.mnist import Mnist
from withstand.data.tables.table import Table
from withstand.errors import InputError
from withstand.reading.places import place_of

# As PyTorch starts its workers here; the server of a test, or fsspec, may have a thread.
pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")

PHOTOS = {"pixels": 32, "resize": None, "on_bad_image": "skip"}


def content(split, num_workers=0):
    """All that a split gives."""
    batches = list(split.batches(torch.arange(len(split)).split(4), num_workers=num_workers))
    names = None if isinstance(split, TensorSplit) else split.identifiers()
    tensors = [torch.cat([getattr(each, name) for each in batches]) for name in ("x", "y", "number")]
    return tensors, names, split.classes, split.shape


def assert_equal(data, part, root, address, num_workers=0):
    local, remote = data(str(root)).load(part), data(address).load(part)
    (tensors, *others), (own, *own_others) = content(local), content(remote, num_workers)
    assert all(map(torch.equal, tensors, own))
    assert own_others == others
    assert [each.replace(address, str(root)) for each in remote.notes] == list(local.notes)


@pytest.mark.parametrize("part", ["train", "validation", "test"])
@pytest.mark.parametrize(
    "data",
    [
        lambda root: ImageFolder(root=f"{root}/photos", validation_share=0.25, **PHOTOS),
        lambda root: Mnist(root=root),
        lambda root: Cifar10(root=root, augment=False),
        lambda root: Table(path=f"{root}/table.csv", target="d"),
        lambda root: Table(path=f"{root}/table.csv.gz", target="c"),
        lambda root: Table(path=f"{root}/table.parquet", target="d", test_path=f"{root}/table.csv"),
    ],
    ids=["photos", "mnist", "cifar10", "csv", "gzip", "parquet"],
)
def test_data_in_an_object_store_equal_local_data(every_layout, in_memory, data, part):
    assert_equal(data, part, every_layout, in_memory(every_layout))


@pytest.mark.parametrize("part", ["train", "test"])
def test_workers_read_from_an_object_store(every_layout, in_memory, part):
    address = in_memory(every_layout)
    assert_equal(lambda root: ImageFolder(root=f"{root}/photos", **PHOTOS), part, every_layout, address, num_workers=2)


@pytest.mark.parametrize(
    "data",
    [
        lambda root: CorruptedFolder(root=f"{root}/corrupted", pixels=32),
        lambda root: CorruptedFolder(root=f"{root}/corrupted", pixels=32, class_map=f"{root}/classes.txt"),
        lambda root: CorruptedFolder(root=f"{root}/corrupted", pixels=32, clean=f"{root}/corrupted/fog/1"),
        lambda root: CorruptedArrays(root=f"{root}/arrays"),
    ],
    ids=["folder", "class map", "clean", "arrays"],
)
def test_cells_in_an_object_store_equal_local_ones(every_layout, in_memory, data, caplog):
    address = in_memory(every_layout)
    with caplog.at_level(logging.WARNING, "withstand"):
        local = data(str(every_layout)).cells()
        remote = data(address).cells()
    told = [each.getMessage() for each in caplog.records]
    assert told[: len(told) // 2] == told[len(told) // 2 :]
    assert list(remote) == list(local)
    assert data(address).missing() == data(str(every_layout)).missing()
    for condition in local:
        (tensors, *others), (own, *own_others) = (
            content(local[condition].load("test")),
            content(remote[condition].load("test")),
        )
        assert all(map(torch.equal, tensors, own))
        assert own_others == others


FORMATS = {
    "a.jpg": {"quality": 80},
    "b.png": {},
    "c.bmp": {},
    "d.webp": {"lossless": True},
    "e.gif": {},
    "f.ppm": {},
    "g.tif": {},
    "h.tiff": {"compression": "tiff_lzw"},
    "i.tif": {"compression": "jpeg"},
}


def test_every_format_is_decoded_like_a_local_file(tmp_path, in_memory):
    random = np.random.RandomState(0)
    for name, options in FORMATS.items():
        Image.fromarray(random.randint(0, 256, (50, 60, 3), dtype=np.uint8)).save(tmp_path / name, **options)
    levels = random.randint(0, 65536, (40, 50, 3)).astype(">u2")
    (tmp_path / "j.ppm").write_bytes(b"P6 50 40 65535\n" + levels.tobytes())
    Image.fromarray(random.randint(0, 65536, (50, 60)).astype(np.uint16)).save(tmp_path / "k.png")
    address = place_of(in_memory(tmp_path))
    decoding = Decoding(depth=16)
    for name in [*FORMATS, "j.ppm", "k.png"]:
        for seed in (None, 1):
            found = []
            for place in (tmp_path / name, address / name):
                generator = None if seed is None else torch.Generator().manual_seed(seed)
                found.append(read_image(place, pixels=32, resize=36, decoding=decoding, generator=generator))
            assert np.array_equal(*found), name


def test_an_address_may_be_the_usual_root(every_layout, in_memory, monkeypatch):
    monkeypatch.setenv("WITHSTAND_DATA", in_memory(every_layout))
    assert len(Mnist().load("test")) == 10


def test_a_file_address_is_a_local_path(every_layout):
    assert ImageFolder(root=f"file://{every_layout}/photos").load("test").folder == every_layout / "photos/val"


def test_rows_of_an_evaluation_are_equal(every_layout, in_memory):
    model = ws.MLP(hidden=(4,)).build((3, 32, 32), 3, seed=0)
    rows = [
        ws.evaluate(
            model, ImageFolder(root=f"{root}/photos", **PHOTOS), on=["clean", "contrast/2"], device="cpu"
        ).records()
        for root in (every_layout, in_memory(every_layout))
    ]
    assert rows[0] == rows[1]


def _labels(split, pipe):
    batch = next(split.batches([torch.arange(4)]))
    pipe.send((batch.x.sum().item(), batch.y.tolist()))


@pytest.mark.parametrize("method", ["fork"])
def test_a_split_reads_in_another_process(every_layout, in_memory, method):
    split = ImageFolder(root=f"{in_memory(every_layout)}/photos", pixels=32, resize=None).load("train")
    own, other = multiprocessing.Pipe()
    process = multiprocessing.get_context(method).Process(target=_labels, args=(split, other))
    process.start()
    assert own.poll(60)
    batch = next(split.batches([torch.arange(4)]))
    assert own.recv() == (batch.x.sum().item(), batch.y.tolist())
    process.join()


def test_a_pickled_split_holds_addresses_only(every_layout, in_memory):
    split = ImageFolder(root=f"{in_memory(every_layout)}/photos", **PHOTOS).load("test")
    next(split.batches([torch.arange(2)]))
    assert b"fsspec" not in pickle.dumps(split)


@pytest.mark.parametrize("num_workers", [0, 1])
def test_a_lost_store_is_an_error_where_bad_images_are_skipped(every_layout, in_memory, num_workers, monkeypatch):
    from fsspec.implementations.memory import MemoryFileSystem

    split = ImageFolder(root=f"{in_memory(every_layout)}/photos", **PHOTOS).load("test")

    def refuse(*_args, **_options):
        raise PermissionError("the token has expired")

    monkeypatch.setattr(MemoryFileSystem, "cat_file", refuse)
    with pytest.raises(InputError, match="the token has expired") as problem:
        list(split.batches([torch.arange(2)], num_workers=num_workers))
    assert "Traceback" not in str(problem.value)
    assert not split.bad


def test_oversized_files_are_bad_images(every_layout, in_memory, monkeypatch):
    split = ImageFolder(root=f"{in_memory(every_layout)}/photos", **PHOTOS).load("test")
    monkeypatch.setattr("withstand.data.images.image_file.MOST_BYTES", 1000)
    assert not len(next(split.batches([torch.arange(2)])).x)
    assert list(split.bad) == [0, 1]


@pytest.mark.parametrize(
    "load",
    [
        lambda address: ImageFolder(root=address).load("test"),
        lambda address: Table(path=address, target="d").load("train"),
        lambda address: Mnist(root=address).load("test"),
        lambda address: Cifar10(root=address).load("test"),
        lambda address: CorruptedFolder(root=address).cells(),
        lambda address: CorruptedArrays(root=address).cells(),
        lambda address: ws.WebDataset(path=f"{address}/a.tar").load("test"),
        lambda address: ImageFolder(root=".", class_map=f"{address}/map.txt").load("test"),
    ],
)
@pytest.mark.parametrize(
    ("address", "told"),
    [
        ("memory://nothing-here", "nothing-here"),
        ("unheard-of://bucket/x", "must begin with a protocol of fsspec"),
        ("memory://a::memory://b", "one file system"),
    ],
)
def test_addresses_that_lead_nowhere_are_named(load, address, told, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("cat", "dog"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "1.png").touch()
    with pytest.raises(InputError, match=told):
        load(address)


def test_an_array_that_has_become_shorter_is_refused(every_layout, in_memory):
    from fsspec.implementations.memory import MemoryFileSystem

    address = in_memory(every_layout)
    path = f"{address}/arrays/fog.npy".removeprefix("memory:/")
    MemoryFileSystem().pipe_file(path, MemoryFileSystem().cat_file(path)[:-1])
    with pytest.raises(InputError, match=r"fog\.npy"):
        CorruptedArrays(root=f"{address}/arrays", corruption="fog", severity=5).load("test")


def test_no_door_of_data_makes_a_path_of_a_text():
    """`Path("s3://bucket")` is a local path: texts of users become places by `place_of` and `data_root` only."""
    doors = {"places.py", "memory.py", "frost_textures.py"}
    for path in sorted((Path(withstand.__file__).parent / "data").rglob("*.py")):
        calls = [each for each in ast.walk(ast.parse(path.read_text())) if isinstance(each, ast.Call)]
        made = [each for each in calls if isinstance(each.func, ast.Name) and each.func.id in ("Path", "expanded")]
        own = [
            each
            for each in made
            if any("self" in ast.unparse(one) or "source" in ast.unparse(one) for one in each.args)
        ]
        assert path.name in doors or not own, path
