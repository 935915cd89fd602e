"""One node of a Ray cluster dies in the middle of each kind of long work: nothing changes."""

import os
from pathlib import Path

import numpy as np
import pytest
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
        ended = wait(pool, seconds)
        states.extend(outcome.state for _, outcome in ended)
        if second and len(pool.at_work) >= 2 and State.DONE in states:
            cluster.remove_node(second.pop(), allow_graceful=False)
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
    assert {name: each for name, each in alone.items() if name.endswith(("rows.jsonl", ".parquet"))} == {
        name: each for name, each in together.items() if name.endswith(("rows.jsonl", ".parquet"))
    }
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
