import os
import pickle
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

import pytest
import torch

from withstand import files
from withstand.errors import InputError
from withstand.training import checkpoint


class Trap:
    """Would make a folder if it were unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def content(count):
    return {
        "model": {"weight": torch.full((3, 2), float(count)), "steps": torch.tensor(count)},
        "best": {"value": float("-inf"), "epoch": -1, "model": None},
        "history": [{"epoch": 1, "loss": 0.5}],
        "epoch": count,
    }


def save(folder, count, identity="abc"):
    checkpoint.save(folder, content(count), identity=identity)


def load(folder, identity="abc"):
    found = checkpoint.load(folder, identity=identity)
    assert found is not None
    return found["epoch"]


def cut(path, share=0.5):
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])


def test_what_is_saved_is_loaded(tmp_path):
    save(tmp_path / "new", 1)
    found = checkpoint.load(tmp_path / "new", identity="abc")
    assert torch.equal(found["model"].pop("weight"), torch.ones(3, 2))
    assert found["model"]["steps"].dtype == torch.int64
    assert {name: found[name] for name in ("best", "history", "epoch")} == {
        name: content(1)[name] for name in ("best", "history", "epoch")
    }


def test_without_a_checkpoint_there_is_nothing_to_load(tmp_path):
    assert checkpoint.load(tmp_path, identity="abc") is None
    assert checkpoint.load(tmp_path / "missing", identity="abc") is None


def test_the_last_two_are_kept_and_nothing_else(tmp_path):
    for count in range(4):
        save(tmp_path, count)
    assert sorted(each.name for each in tmp_path.iterdir()) == ["last.checkpoint", "previous.checkpoint"]
    assert load(tmp_path) == 3
    (tmp_path / "last.checkpoint").unlink()
    assert load(tmp_path) == 2


@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.99])
def test_if_the_last_is_cut_short_the_previous_is_loaded(tmp_path, share):
    save(tmp_path, 1)
    save(tmp_path, 2)
    cut(tmp_path / "last.checkpoint", share)
    assert load(tmp_path) == 1
    save(tmp_path, 3)
    assert load(tmp_path) == 3


def test_if_both_are_cut_short_a_sentence_says_so(tmp_path):
    save(tmp_path, 1)
    save(tmp_path, 2)
    for name in ("last.checkpoint", "previous.checkpoint"):
        cut(tmp_path / name)
    with pytest.raises(
        InputError, match=r"^checkpoint: none can be read: .*last.checkpoint, .*previous.checkpoint; remove them"
    ):
        load(tmp_path)


def test_the_checkpoint_of_another_configuration_is_refused(tmp_path):
    save(tmp_path, 1, identity="abc")
    with pytest.raises(InputError, match="was made by configuration abc, expected def"):
        load(tmp_path, identity="def")


def test_a_checkpoint_that_would_run_code_is_refused_and_not_run(tmp_path):
    sprung = tmp_path / "sprung"
    torch.save({"identity": "abc", "content": {"epoch": Trap(sprung)}}, tmp_path / "body")
    body = (tmp_path / "body").read_bytes()
    (tmp_path / "last.checkpoint").write_bytes(sha256(body).digest() + body)
    with pytest.raises(InputError, match="none can be read"):
        load(tmp_path)
    assert not sprung.exists()


def test_a_full_disk_leaves_a_whole_checkpoint(tmp_path, monkeypatch):
    save(tmp_path, 1)

    def full(handle):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files.os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        save(tmp_path, 2)
    monkeypatch.undo()
    assert load(tmp_path) == 1
    checkpoint.clear(tmp_path)
    assert not list(tmp_path.glob("*.tmp"))
    assert load(tmp_path) == 1


@pytest.mark.parametrize("fails_at", range(5))
def test_at_whatever_call_a_save_is_killed_a_whole_checkpoint_is_left(tmp_path, monkeypatch, fails_at):
    save(tmp_path, 1)
    save(tmp_path, 2)
    calls = 0

    class Killed(BaseException):
        pass

    def count_down(function):
        def wrapped(*arguments, **options):
            nonlocal calls
            if calls == fails_at:
                raise Killed
            calls += 1
            return function(*arguments, **options)

        return wrapped

    monkeypatch.setattr(files.os, "fsync", count_down(os.fsync))
    monkeypatch.setattr(Path, "replace", count_down(Path.replace))
    with pytest.raises(Killed):
        save(tmp_path, 3)
    monkeypatch.undo()
    checkpoint.clear(tmp_path)
    assert load(tmp_path) in (2, 3)
    assert {each.name for each in tmp_path.iterdir()} <= {"last.checkpoint", "previous.checkpoint"}


def test_a_process_killed_while_saving_leaves_a_whole_checkpoint(tmp_path):
    script = (
        "import sys, torch; from pathlib import Path; from withstand.training import checkpoint\n"
        "count = 0\n"
        "while True:\n"
        "    count += 1\n"
        "    checkpoint.save(Path(sys.argv[1]), {'epoch': count, 'w': torch.ones(100000)}, identity='abc')\n"
        "    sys.stdout.write('saved\\n'); sys.stdout.flush()\n"
    )
    newest = 0
    for number in range(2):
        process = subprocess.Popen(
            [sys.executable, "-c", script, str(tmp_path)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        with process:
            for _ in range(3 + number):
                process.stdout.readline()
            process.kill()
        checkpoint.clear(tmp_path)
        newest = load(tmp_path)
        assert newest >= 3 + number - 1
        assert {each.name for each in tmp_path.iterdir()} <= {"last.checkpoint", "previous.checkpoint"}
    assert newest


@pytest.mark.parametrize("content", [b"\x80", b"\x80\x04\x8c\x10", pickle.dumps({"other": 1}, protocol=2)])
def test_a_damaged_last_checkpoint_gives_way_to_the_previous(tmp_path, content):
    save(tmp_path, 1)
    save(tmp_path, 2)
    (tmp_path / "last.checkpoint").write_bytes(content)
    assert load(tmp_path) == 1
