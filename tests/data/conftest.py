"""A small data set of every layout, in a folder that can be put into a file system of fsspec."""

import gzip
import pickle
from pathlib import Path
from uuid import uuid4

import numpy as np
import polars
import pytest
from PIL import Image


def write_every_layout(root: Path) -> None:
    random = np.random.RandomState(0)

    def image(path: Path, side: int = 40) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(random.randint(0, 256, (side, side + 8, 3), dtype=np.uint8)).save(path)

    for part, count in (("train", 4), ("val", 3)):
        for name in ("b cat", "a-dog", "bird+é"):
            for number in range(count):
                image(root / "photos" / part / name / f"{number}.{'png' if number else 'JPEG'}")
    (root / "photos/val/b cat/notes.txt").write_text("no image")
    (root / "photos/val/b cat/.hidden.png").write_text("hidden")
    (root / "photos/val/b cat/damaged.png").write_text("no image either")
    (root / "photos/val/beside.png").write_text("beside")
    for cell in ("fog/1", "fog/3", "weather/snow/2", "strange/1"):
        for name in ("cat", "dog"):
            for number in range(2):
                image(root / "corrupted" / cell / name / f"{number}.png")
    (root / "classes.txt").write_text("cat 2\ndog 0\n")
    (root / "arrays").mkdir()
    np.save(root / "arrays/labels.npy", np.arange(4) % 2)
    for name in ("fog", "contrast"):
        np.save(root / f"arrays/{name}.npy", random.randint(0, 256, (20, 8, 8, 3), dtype=np.uint8))
    (root / "arrays/classes.json").write_text('["one", "two"]')
    for stem, count in (("train", 20), ("t10k", 10)):
        for kind, head, values in (
            ("images-idx3-ubyte", [count, 28, 28], random.randint(0, 256, (count, 28, 28))),
            ("labels-idx1-ubyte", [count], np.arange(count) % 10),
        ):
            (root / "mnist").mkdir(exist_ok=True)
            content = bytes([0, 0, 8, len(head)]) + np.array(head, ">u4").tobytes() + values.astype(np.uint8).tobytes()
            (root / f"mnist/{stem}-{kind}.gz").write_bytes(gzip.compress(content))
    cifar = root / "cifar-10-batches-py"
    cifar.mkdir()
    for name in ("data_batch_1", "test_batch"):
        content = {"data": random.randint(0, 256, (6, 3072), dtype=np.uint8), "labels": [0, 1, 2, 3, 4, 5]}
        (cifar / name).write_bytes(pickle.dumps(content, protocol=2))
    rows = "".join(f"{k / 3:.3f},{k * 1.5},{'xyz'[k % 3]},{'pq'[k % 2]}\n" for k in range(60))
    (root / "table.csv").write_text("a,b,c,d\n" + rows)
    (root / "table.csv.gz").write_bytes(gzip.compress(("a,b,c,d\n" + rows).encode()))
    polars.read_csv(root / "table.csv").write_parquet(root / "table.parquet")


def files_of(root: Path) -> dict[str, bytes]:
    """The content by path of all files in a folder."""
    return {each.relative_to(root).as_posix(): each.read_bytes() for each in sorted(root.rglob("*")) if each.is_file()}


@pytest.fixture(scope="session")
def every_layout(tmp_path_factory) -> Path:
    """A folder with a small data set of every layout."""
    root = tmp_path_factory.mktemp("layouts") / "data"
    root.mkdir()
    write_every_layout(root)
    return root


@pytest.fixture
def in_memory():
    """Puts a folder into fsspec's file system in memory, and returns its address."""
    from fsspec.implementations.memory import MemoryFileSystem

    made = []

    def put(folder: Path) -> str:
        name = f"test-{uuid4().hex}"
        for path, content in files_of(folder).items():
            MemoryFileSystem().pipe_file(f"/{name}/{path}", content)
        made.append(name)
        return f"memory://{name}"

    yield put
    for name in made:
        MemoryFileSystem().rm(f"/{name}", recursive=True)
