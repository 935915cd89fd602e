"""Results in object stores: what is stored equals what a local folder holds, and a killed command loses no block."""

import os
from pathlib import Path
from types import SimpleNamespace
from uuid import uuid4

import pytest
from fsspec.implementations.memory import MemoryFileSystem

from withstand.data.tables.toy import Toy
from withstand.engine import Engine
from withstand.errors import InputError
from withstand.experiment import Experiment
from withstand.models.mlp import MLP
from withstand.pools.block import Outcome, State, attempt
from withstand.pools.mirror import Mirror, StoredBlock, StoringPool, files_below, mirrored, moved, pulled
from withstand.pools.pool import Pool
from withstand.reading.addresses import Address
from withstand.sweeps.run_block import RunBlock
from withstand.sweeps.sweep import sweep
from withstand.training.settings import Training

RUN = Experiment(data=Toy(num_train=40, num_test=40), model=MLP(hidden=(4,)), training=Training(epochs=1))


class Here(Pool):
    """A pool of this process."""

    def __init__(self):
        self.waiting = {}

    @property
    def free(self):
        return 1 - len(self.waiting)

    def begin(self, key, block):
        self.waiting[key] = block

    def wait(self, seconds):
        key, block = self.waiting.popitem()
        return [(key, attempt(block, Engine()))]

    def close(self):
        pass


@pytest.fixture
def store():
    name = f"results-{uuid4().hex}"
    yield Address(text=f"memory://{name}/runs")
    if MemoryFileSystem().exists(f"/{name}"):
        MemoryFileSystem().rm(f"/{name}", recursive=True)


def put(address, **files):
    for name, content in files.items():
        (address / name).write_bytes(content)


def test_what_changed_here_is_stored_and_what_was_removed_is_removed_there(store):
    put(store, kept=b"1", changed=b"2", gone=b"3")
    with mirrored(store) as mirror:
        assert mirror.folder.name == "runs"
        (mirror.folder / "changed").write_bytes(b"22")
        (mirror.folder / "gone").unlink()
        (mirror.folder / "a").mkdir()
        (mirror.folder / "a" / "new").write_bytes(b"4")
        (mirror.folder / "lock").write_bytes(b"")
        assert (store / "gone").exists()  # until the end
    assert store.all_files() == ["a/new", "changed", "kept"]
    assert (store / "changed").read_bytes(most=9) == b"22"


def test_files_that_were_not_copied_stay_in_the_store(store):
    put(store, rows=b"1", weights=b"2")
    with mirrored(store, lambda name: name == "rows") as mirror:
        assert set(files_below(mirror.folder)) == {"rows"}
    assert store.all_files() == ["rows", "weights"]


def test_files_are_stored_in_the_order_in_which_they_were_written(store, monkeypatch, tmp_path):
    stored, write = [], Address.write_bytes
    monkeypatch.setattr(Address, "write_bytes", lambda self, content: (stored.append(self.name), write(self, content)))
    for number, name in enumerate(["z", "b", "marker", "a"]):
        (tmp_path / name).write_bytes(b"")
        os.utime(tmp_path / name, (number, number))
    Mirror(tmp_path, store).push()
    assert stored == ["z", "b", "marker", "a"]


def test_the_marker_is_stored_last_whatever_the_clock_says(store, tmp_path, monkeypatch):
    stored, write = [], Address.write_bytes
    monkeypatch.setattr(Address, "write_bytes", lambda self, content: (stored.append(self.name), write(self, content)))

    def do(block, engine):
        block.folder.mkdir()
        for name in ("model.safetensors", "rows.jsonl"):
            (block.folder / name).write_bytes(b"")
            os.utime(block.folder / name, (0, 0))
        os.utime(block.marker, (-1, -1))  # the clock was set back

    monkeypatch.setattr(RunBlock, "do", do)
    StoredBlock(RunBlock(RUN, tmp_path), tmp_path, store).do(Engine())
    assert stored == ["model.safetensors", "rows.jsonl"]


def test_what_one_command_shares_stays_when_another_in_the_same_folder_ends(store):
    with mirrored(store) as first:
        shared = StoringPool(Here(), first).share(b"mine", first.folder / "parts" / "work")
        with mirrored(store) as second:
            other = StoringPool(Here(), second).share(b"theirs", second.folder / "parts" / "work")
            assert (shared.read(), other.read()) == (b"mine", b"theirs")
            assert not (second.folder / "parts").exists()
        assert shared.read() == b"mine"
    assert store.all_files() == []


def test_what_was_done_before_an_error_is_stored(store):
    def stopped():
        with mirrored(store) as mirror:
            (mirror.folder / "part").write_bytes(b"1")
            raise KeyError

    with pytest.raises(KeyError):
        stopped()
    assert store.all_files() == ["part"]


def test_a_place_that_cannot_be_written_is_refused_before_the_work():
    with pytest.raises(InputError, match="cannot be written"), mirrored(Address(text="http://127.0.0.1:1/x")):
        pytest.fail("the work began")


def test_a_run_is_done_in_a_temporary_folder_and_its_rows_are_copied(store, tmp_path):
    """Another machine needs neither the folder nor the files of the machine that plans."""
    experiment, name = RUN, RUN.folder(Path()).name
    with pulled(store) as mirror:
        pool = StoringPool(Here(), mirror)
        block = RunBlock(experiment, mirror.folder)
        stored = StoredBlock(block, mirror.folder, store)
        assert not stored.is_done()
        pool.begin(name, block)
        assert pool.wait(0) == [(name, Outcome(State.DONE))]
        assert stored.is_done()
        assert list(files_below(mirror.folder)) == [f"{name}/rows.jsonl"]
    alone = RunBlock(experiment, tmp_path)
    alone.do(Engine())
    own = files_below(alone.folder)
    assert {each.removeprefix(f"{name}/") for each in store.all_files()} == set(own)
    for each in ("rows.jsonl", "model.safetensors", "config.yaml"):
        assert (store / name / each).read_bytes(most=1 << 30) == own[each].read_bytes()


def test_a_block_whose_file_another_command_has_removed_is_lost_and_not_an_error(store):
    class Removing(Here):
        def wait(self, seconds):
            ended = super().wait(seconds)
            (store / RUN.folder(Path()).name / "rows.jsonl").remove()
            return ended

    with pulled(store) as mirror:
        pool = StoringPool(Removing(), mirror)
        pool.begin("a run", RunBlock(RUN, mirror.folder))
        ((_, outcome),) = pool.wait(0)
    assert outcome.state == State.LOST
    assert "rows.jsonl" in outcome.problem


def test_why_a_run_failed_is_stored(store):
    with pulled(store) as mirror:
        block = StoredBlock(RunBlock(RUN, mirror.folder), mirror.folder, store)
        block.record("it was wrong.", "")
    assert store.all_files() == [f"{RUN.folder(Path()).name}/failed.json"]


def test_a_run_that_failed_earlier_and_is_done_leaves_no_failure(store):
    name, ignore = RUN.folder(Path()).name, lambda *_: None
    put(store / name, **{"failed.json": b"{}"})
    plan, watch = SimpleNamespace(experiments={name: RUN}), SimpleNamespace(on_begin=ignore, on_end=ignore)
    with mirrored(store, lambda each: each.endswith("failed.json")) as mirror:
        assert sweep(plan, mirror.folder, StoringPool(Here(), mirror), watch).done == [name]
    assert f"{name}/rows.jsonl" in store.all_files()
    assert f"{name}/failed.json" not in store.all_files()


def test_a_block_that_cannot_store_its_failure_reports_what_failed(tmp_path, monkeypatch):
    monkeypatch.setattr(RunBlock, "do", lambda *_: (_ for _ in ()).throw(ValueError("the reason.")))
    block = StoredBlock(RunBlock(RUN, tmp_path), tmp_path, Address(text="http://127.0.0.1:1/x"))
    with pytest.raises(InputError):
        block.record("it was wrong.", "")
    assert attempt(block, Engine())[:2] == (State.FAILED, "the reason.")


def test_shared_content_is_stored_and_checked(store):
    with mirrored(store) as mirror:
        shared = StoringPool(Here(), mirror).share(b"weights", mirror.folder / "parts" / "work.pickle")
        assert shared.read() == b"weights"
        shared.address.write_bytes(b"exchanged")
        with pytest.raises(InputError, match="has changed while it was in use"):
            shared.read()
    assert store.all_files() == []


def test_only_paths_below_the_folder_move():
    assert moved(RunBlock(RUN, Path("/a/b")), Path("/a"), Path("/c")) == RunBlock(RUN, Path("/c/b"))
    assert moved(RunBlock(RUN, Path("/d")), Path("/a"), Path("/c")) == RunBlock(RUN, Path("/d"))
