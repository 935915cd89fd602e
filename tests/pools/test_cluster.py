"""One node of a Ray cluster dies in the middle of each kind of long work: nothing changes.

A sweep over a shared folder stands in tests/sweeps/test_on_ray.py.
"""

import os
import tarfile
import time
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from withstand.cli import main
from withstand.pools.block import State
from withstand.pools.on_ray import RayPool

pytestmark = [pytest.mark.faults, pytest.mark.filterwarnings("default")]
MEBIBYTE = 2**20
SLOW = ["--model", "wide-res-net", "--model.depth", "10", "--model.width", "1"]  # so that blocks take seconds


@pytest.fixture
def machines(monkeypatch):
    """A cluster of two nodes with one CPU each, of which the second dies once both work; and how blocks ended."""
    pytest.importorskip("ray", reason="needs the extra cluster")
    from ray.cluster_utils import Cluster

    monkeypatch.setitem(os.environ, "RAY_USAGE_STATS_ENABLED", "0")
    node = {"num_cpus": 1, "object_store_memory": 100 * MEBIBYTE}
    cluster = Cluster(initialize_head=True, head_node_args=node | {"include_dashboard": False})
    second, states, wait = [cluster.add_node(**node)], [], RayPool.wait

    def kill_and_wait(pool, seconds):
        if second and len(pool.at_work) > 2 and states.count(State.DONE) > 1:  # both work, and one block waits
            time.sleep(0.5)
            cluster.remove_node(second.pop(), allow_graceful=False)
        ended = wait(pool, seconds)
        states.extend(outcome.state for _, outcome in ended)
        return ended

    monkeypatch.setattr(RayPool, "wait", kill_and_wait)
    yield cluster.address, states
    assert not second
    assert State.LOST in states
    cluster.shutdown()


def photographs(folder: Path, count: int) -> Path:
    random = np.random.default_rng(0)
    for number in range(count):
        path = folder / f"class{number % 3}" / f"{number:03d}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(random.integers(0, 256, (40, 40, 3), dtype=np.uint8)).resize((64, 64)).save(path)
    return folder


def content_of(folder: Path) -> dict[str, bytes]:
    own = {each.relative_to(folder).as_posix(): each for each in folder.rglob("*") if each.is_file()}
    return {name: path.read_bytes() for name, path in own.items() if path.name not in ("manifest.json", "lock")}


def rows_and_outcomes(files: dict[str, bytes]) -> dict[str, bytes]:
    return {name: each for name, each in files.items() if name.endswith(("rows.jsonl", ".parquet", ".safetensors"))}


def test_evaluate(machines, tmp_path, monkeypatch, record_property):
    address, _ = machines
    monkeypatch.chdir(tmp_path)
    assert main(["train", "--data", "digits", *SLOW, "--epochs", "1", "--output", "trained"]) == 0
    (run,) = (tmp_path / "trained").iterdir()
    words = ["evaluate", str(run), "--on", "imagenet-c", "--batch-size", "60", "--device"]
    assert main([*words, "cpu", "-j", "2"]) == 0
    alone = content_of(run / "evaluations")
    for each in (run / "evaluations").rglob("*"):
        if each.is_file():
            each.unlink()
    assert main([*words, "auto", "--address", address]) == 0
    together = content_of(run / "evaluations")
    assert alone
    assert rows_and_outcomes(alone) == rows_and_outcomes(together)
    record_property("fault", '["a lost Ray node: evaluate", 1, 1, "the blocks under way on it"]')


def test_corrupt(machines, tmp_path, record_property):
    address, _ = machines
    source = photographs(tmp_path / "source", 400)
    words = ["corrupt", str(source)]
    options = ["--corruptions", "all", "--size", "32", "--to", "png"]
    assert main([*words, str(tmp_path / "alone"), *options, "-j", "2"]) == 0
    assert main([*words, str(tmp_path / "together"), *options, "--address", address]) == 0
    alone, together = (content_of(tmp_path / name) for name in ("alone", "together"))
    assert len(alone) > 19 * 5 * 400
    assert alone == together
    record_property("fault", '["a lost Ray node: corrupt", 1, 1, "the blocks under way on it"]')


@pytest.fixture(scope="module")
def shards(store, tmp_path_factory):
    """A folder of images, and the address of two shards with the same ones."""
    folder, places = photographs(tmp_path_factory.mktemp("photographs"), 300), tmp_path_factory.mktemp("shards")
    for number in range(2):
        with tarfile.open(places / f"{number}.tar", "w") as archive:
            for path in sorted(folder.rglob("*.jpg"))[number * 150 : (number + 1) * 150]:
                archive.add(path, path.relative_to(folder).as_posix())
        store.put_file(str(places / f"{number}.tar"), f"bucket/{number}.tar")
    return folder, "s3://bucket/{0..1}.tar"


def stored(store, folder: str) -> dict[str, bytes]:
    return {name.removeprefix(f"{folder}/"): store.cat_file(name) for name in store.find(folder)}


def test_corrupt_from_shards_into_a_store(store, shards, machines, tmp_path, record_property):
    address, _ = machines
    folder, source = shards
    options = ["--corruptions", "all", "--severities", "3", "--size", "32", "--to", "png"]
    assert main(["corrupt", str(folder), str(tmp_path / "alone"), *options, "-j", "2"]) == 0
    assert main(["corrupt", source, "s3://bucket/copy", *options, "--address", address]) == 0
    alone, together = content_of(tmp_path / "alone"), stored(store, "bucket/copy")
    assert len(alone) > 19 * 300
    assert alone == {name: each for name, each in together.items() if name in alone}
    assert set(together) - set(alone) == {"manifest.json"}
    record_property("fault", '["a lost Ray node: corrupt, shards and results in an object store", 1, 1, "its blocks"]')


def test_sweep_from_shards_into_a_store(store, shards, machines, tmp_path, record_property):
    address, _ = machines
    of_images = {
        "data": "web-dataset",
        "data.path": shards[1],
        "data.train": shards[1],
        "data.pixels": 32,
        "data.resize": None,
    }
    model = {"model": "wide-res-net", "model.depth": 10, "model.width": 1, "epochs": 2}
    (tmp_path / "s.yaml").write_text(
        yaml.safe_dump({"set": of_images | model, "vary": {"lr": [0.01, 0.02, 0.05, 0.1]}})
    )
    words = ["sweep", str(tmp_path / "s.yaml"), "--seeds", "2", "--output"]
    assert main([*words, str(tmp_path / "alone"), "--device", "cpu", "-j", "2"]) == 0
    assert main([*words, "s3://bucket/runs", "--address", address]) == 0
    alone, together = (
        rows_and_outcomes(each) for each in (content_of(tmp_path / "alone"), stored(store, "bucket/runs"))
    )
    assert len([name for name in alone if name.endswith("rows.jsonl")]) == 8
    assert alone == {name: each for name, each in together.items() if "checkpoints/" not in name}
    record_property("fault", '["a lost Ray node: sweep, shards and results in an object store", 1, 1, "its blocks"]')


def test_evaluate_from_shards_into_a_store(store, shards, machines, tmp_path, monkeypatch, record_property):
    address, _ = machines
    monkeypatch.chdir(tmp_path)
    of_images = [
        "--data",
        "web-dataset",
        "--data.path",
        shards[1],
        "--data.train",
        shards[1],
        "--data.pixels",
        "32",
        "--data.resize",
        "null",
    ]
    assert main(["train", *of_images, *SLOW, "--epochs", "1", "--output", "trained", "--name", "run"]) == 0
    (run,) = (tmp_path / "trained").iterdir()
    words = ["evaluate", str(run), "--on", "imagenet-c", "--batch-size", "10"]
    for path in run.rglob("*"):
        if path.is_file():
            store.put_file(str(path), f"bucket/trained/{run.name}/{path.relative_to(run).as_posix()}")
    assert main([*words, "--device", "cpu", "-j", "2"]) == 0
    words[1] = f"s3://bucket/trained/{run.name}"
    assert main([*words, "--address", address]) == 0
    alone = rows_and_outcomes(content_of(run))
    together = rows_and_outcomes(stored(store, f"bucket/trained/{run.name}"))
    assert any("evaluations/" in name for name in alone)
    assert alone == together
    record_property("fault", '["a lost Ray node: evaluate, shards and results in an object store", 1, 1, "its blocks"]')
