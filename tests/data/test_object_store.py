"""Data on a local server that speaks S3: all values are those of the same local files."""

import json
import socket
import tarfile
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from types import SimpleNamespace

import numpy as np
import pytest
import torch

import withstand as ws
from withstand.cli import main
from withstand.copies.layout import CorruptedCopy
from withstand.copies.writing import write_copy
from withstand.data.corrupted.corrupted_arrays import CorruptedArrays
from withstand.data.images.image_file import read_image
from withstand.data.images.image_folder import ImageFolder
from withstand.data.shards.web_dataset import WebDataset
from withstand.data.tables.table import Table
from withstand.errors import InputError
from withstand.perturbations.corruptions.imagenet_c.contrast import Contrast
from withstand.reading import listings

s3fs = pytest.importorskip("s3fs", reason="needs s3fs, of the extra `remote`")

pytestmark = pytest.mark.filterwarnings(
    "ignore:.*multi-threaded, use of fork:DeprecationWarning",
    "ignore:datetime.datetime.utc:DeprecationWarning",
)
PHOTOS = {"pixels": 32, "resize": None, "on_bad_image": "skip"}


def _forget():
    """Drop the connections of fsspec, which would lead to the server of an earlier test."""
    s3fs.S3FileSystem.clear_instance_cache()
    listings.forget()


@pytest.fixture(scope="module")
def server(every_layout, store, tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        photos = every_layout / "photos/val"
        shard = tmp_path_factory.mktemp("shards") / "val-000.tar"
        with tarfile.open(shard, "w") as archive:
            for name in ("b cat", "a-dog", "bird+é"):
                archive.add(photos / name, name)
        store.put_file(str(shard), "bucket/shards/val-000.tar")
        for path in every_layout.rglob("*"):
            if path.is_file():
                store.put_file(str(path), f"bucket/data/{path.relative_to(every_layout).as_posix()}")
        store.pipe_file("bucket/data/photos/val/marker/", b"")  # as consoles make folders
        yield SimpleNamespace(store=store, url="s3://bucket/data", shard=shard)


def content(split, num_workers=0):
    batches = list(split.batches(torch.arange(len(split)).split(4), num_workers=num_workers))
    return [torch.cat([getattr(each, name) for each in batches]) for name in ("x", "y", "number")]


@pytest.mark.parametrize("num_workers", [0, pytest.param(2, marks=pytest.mark.slow)])
def test_images_equal_those_of_the_folder(server, every_layout, num_workers):
    local = ImageFolder(root=f"{every_layout}/photos", **PHOTOS).load("test")
    remote = ImageFolder(root=f"{server.url}/photos", **PHOTOS).load("test")
    assert all(map(torch.equal, content(remote, num_workers), content(local)))
    assert remote.identifiers() == local.identifiers()
    assert len(remote.bad) == len(local.bad) == 1


@pytest.mark.parametrize("num_workers", [2])
def test_shards_equal_the_folder(server, every_layout, num_workers):
    local = ImageFolder(root=f"{every_layout}/photos", **PHOTOS).load("test")
    remote = WebDataset(path="s3://bucket/shards/val-{000..000}.tar", **PHOTOS).load("test")
    assert all(map(torch.equal, content(remote, num_workers), content(local)))
    assert remote.identifiers() == local.identifiers()


@pytest.mark.parametrize("file", ["table.csv", "table.csv.gz", "table.parquet"])
def test_tables_equal_local_ones(server, every_layout, file):
    splits = [Table(path=f"{root}/{file}", target="d").load("train") for root in (server.url, every_layout)]
    assert torch.equal(splits[0].x, splits[1].x)


def test_arrays_equal_local_ones(server, every_layout):
    cells = [CorruptedArrays(root=f"{root}/arrays", severity=3).cells() for root in (server.url, every_layout)]
    assert list(cells[0]) == list(cells[1])
    for remote, local in zip(cells[0].values(), cells[1].values(), strict=True):
        assert all(map(torch.equal, content(remote.load("test")), content(local.load("test"))))


def test_rows_of_an_evaluation_are_equal(server, every_layout):
    model = ws.MLP(hidden=(4,)).build((3, 32, 32), 3, seed=0)
    rows = [
        ws.evaluate(model, data, on=["clean", "contrast/2"], device="cpu").records()
        for data in (
            ImageFolder(root=f"{every_layout}/photos", **PHOTOS),
            ImageFolder(root=f"{server.url}/photos", **PHOTOS),
            WebDataset(path="s3://bucket/shards", **PHOTOS),
        )
    ]
    assert rows[0] == rows[1] == rows[2]


def test_a_copy_of_shards_equals_that_of_the_folder(server, every_layout, tmp_path):
    corruptions = (Contrast(severity=2, pixels=32),)
    for name, data in (
        ("local", ImageFolder(root=f"{every_layout}/photos", **PHOTOS)),
        ("store", ImageFolder(root=f"{server.url}/photos", **PHOTOS)),
        ("shards", WebDataset(path="s3://bucket/shards", **PHOTOS)),
    ):
        write_copy(CorruptedCopy(data=data, corruptions=corruptions, format="png"), tmp_path / name)
    sums = {name: (tmp_path / name / "SHA256SUMS").read_bytes() for name in ("local", "store", "shards")}
    assert sums["local"] == sums["store"] == sums["shards"]


@pytest.mark.slow
def test_images_and_members_are_read_in_new_processes(server, every_layout):
    local = ImageFolder(root=f"{every_layout}/photos", **PHOTOS).load("test")
    remote = ImageFolder(root=f"{server.url}/photos", **PHOTOS).load("test")
    shards = WebDataset(path="s3://bucket/shards", **PHOTOS).load("test")
    image = read_image(local.folder / local.files[0], pixels=32, resize=None)
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        for split in (remote, shards):
            found = pool.submit(read_image, split.folder / split.files[0], pixels=32, resize=None).result()
            assert np.array_equal(found, image)


def test_an_empty_file_is_a_bad_image(server):
    server.store.pipe_file("bucket/empty/cat/1.png", b"")
    server.store.pipe_file("bucket/empty/dog/1.png", b"")
    split = ImageFolder(root="s3://bucket/empty", **PHOTOS).load("test")
    assert not len(next(split.batches([torch.arange(2)])).x)
    assert split.bad == {0: "it is empty", 1: "it is empty"}


def test_a_key_that_leads_out_of_its_folder_is_refused(server):
    server.store.pipe_file("bucket/hostile/cat/../../../1.png", b"")
    with pytest.raises(InputError, match="below its folder"):
        ImageFolder(root="s3://bucket/hostile", **PHOTOS).load("test")


@pytest.mark.parametrize("root", ["s3://no-such-bucket/photos", "s3://bucket/no-such-folder", "s3://In valid!/x"])
def test_places_that_are_not_there_are_named(server, root):
    with pytest.raises(InputError, match=root.partition("//")[2]):
        ImageFolder(root=root).load("test")


def _refused(match):
    before = time.monotonic()
    for load in (ImageFolder(root="s3://bucket/data/photos").load, Table(path="s3://bucket/t.csv", target="d").load):
        with pytest.raises(InputError, match=match):
            load("test")
    assert time.monotonic() - before < 60


def test_missing_credentials_are_an_error(server, tmp_path, monkeypatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    _forget()
    _refused("credentials")
    _forget()


@pytest.mark.slow
def test_a_server_that_does_not_answer_is_an_error(server, monkeypatch):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{free.getsockname()[1]}")
    _forget()
    _refused("connect")
    _forget()


@pytest.mark.slow
def test_an_evaluation_by_several_processes_gives_the_rows_of_one(server, every_layout, tmp_path):
    found = {}
    for name, root, workers in (("one", every_layout, "0"), ("two", server.url, "2")):
        fields = ["--data.root", f"{root}/photos", "--data.pixels", "32", "--data.resize", "null"]
        fields += ["--data.on_bad_image", "skip", "--device", "cpu", "--quiet"]
        words = ["--model", "mlp", "--epochs", "1", "--batch_size", "4", "--output", str(tmp_path / name)]
        assert main(["train", "--data", "image-folder", *fields, *words]) == 0
        (run,) = [each.parent for each in (tmp_path / name).rglob("config.yaml")]
        assert (
            main(["evaluate", str(run), "--on", "clean", "contrast/2", "-j", workers, "--device", "cpu", "--quiet"])
            == 0
        )
        rows = [json.loads(each) for each in (run / "rows.jsonl").read_text().splitlines()]
        found[name] = [{key: each[key] for key in each.keys() - {"run", "seconds"}} for each in rows]
    assert found["one"]
    assert found["one"] == found["two"]
