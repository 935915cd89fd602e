import errno
import os
import subprocess
import sys
from pathlib import Path

import filelock
import pytest

from withstand import files
from withstand.errors import BusyError, InputError
from withstand.files import clear, hold, write_whole

HOLDER = """
import os, pathlib, sys, time
from withstand.files import hold
with hold(pathlib.Path(sys.argv[1])):
    end, begin = os.pipe()
    child = os.fork() if "fork" in sys.argv else 0
    if child or "fork" not in sys.argv:
        if child:
            os.read(end, 1)  # the child has been set up
        print(child, flush=True)
    else:
        os.write(begin, b"1")
    time.sleep(60)
"""


def holder(folder, *words):
    process = subprocess.Popen([sys.executable, "-c", HOLDER, folder, *words], stdout=subprocess.PIPE, text=True)
    return process, int(process.stdout.readline())


@pytest.mark.parametrize("words", [(), ("fork",)], ids=["alone", "with a forked child that lives on"])
def test_a_lock_excludes_others_until_its_owner_is_killed(words, tmp_path):
    process, child = holder(tmp_path, *words)
    try:
        with pytest.raises(BusyError, match="is being worked on by another process"), hold(tmp_path):
            pass
        process.kill()
        process.wait()
        if child:
            os.kill(child, 0)  # it lives
        with hold(tmp_path):
            pass
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
        if child:
            os.kill(child, 9)


def test_a_lock_excludes_its_own_process_too_and_is_let_go_at_the_end(tmp_path):
    for _ in range(2):
        with hold(tmp_path / "new" / "folder"), pytest.raises(BusyError), hold(tmp_path / "new" / "folder"):
            pass
    with pytest.raises(ZeroDivisionError), hold(tmp_path):
        raise ZeroDivisionError
    with hold(tmp_path):
        pass


@pytest.mark.parametrize("number", [errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP])
def test_a_file_system_without_locks_is_used_without_them(number, tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("fcntl.flock", refuse)
    with hold(tmp_path), hold(tmp_path):
        assert filelock.has_fcntl


def test_a_folder_that_cannot_be_written_is_an_error(tmp_path, monkeypatch):
    (tmp_path / "lock").mkdir()
    with pytest.raises(InputError, match="lock"), hold(tmp_path):
        pass


def test_a_file_is_replaced_as_a_whole_and_leaves_no_other(tmp_path):
    path = tmp_path / "a" / "b.txt"
    for content in (b"long content", b"short"):
        write_whole(path, content, settle=content == b"short")
        assert path.read_bytes() == content
    assert list(path.parent.iterdir()) == [path]


def test_two_writers_of_a_file_do_not_meet(tmp_path, monkeypatch):
    path, calls = tmp_path / "file", []
    sync = os.fsync

    def another_first(handle):
        calls.append(handle)
        if len(calls) == 1:
            write_whole(path, b"other", settle=False)
        sync(handle)

    monkeypatch.setattr(files.os, "fsync", another_first)
    write_whole(path, b"own", settle=False)
    assert path.read_bytes() == b"own"
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_for_which_there_is_no_room_is_named_and_leaves_nothing(tmp_path, monkeypatch):
    def full(handle):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(files.os, "fsync", full)
    with pytest.raises(OSError, match="No space left") as caught:
        write_whole(tmp_path / "file", b"content")
    assert caught.value.filename == str(tmp_path / "file")
    assert not list(tmp_path.iterdir())


def test_a_name_as_long_as_the_file_system_allows_can_be_written(tmp_path):
    path = tmp_path / ("x" * 255)
    write_whole(path, b"content")
    assert list(tmp_path.iterdir()) == [path]


def left_by_a_kill(folder, monkeypatch):
    """Write a file and be killed before it gets its name."""

    class Killed(BaseException):
        pass

    def kill(*_, **__):
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", kill)
        patch.setattr(Path, "unlink", kill)
        with pytest.raises(Killed):
            write_whole(folder / "file", b"content")
    (left,) = folder.glob("*.tmp")
    return left


def test_who_holds_a_lock_removes_what_killed_processes_left_but_not_the_work_of_others(tmp_path, monkeypatch):
    own = [left_by_a_kill(tmp_path / each, monkeypatch) for each in (".", "a", "a/b")]
    (tmp_path / "user.tmp").write_bytes(b"")
    with hold(tmp_path / "other"):
        others = left_by_a_kill(tmp_path / "other", monkeypatch)
        with hold(tmp_path):
            assert not [each for each in own if each.exists()]
            assert others.exists()
    clear(tmp_path / "other")
    assert not others.exists()
    assert (tmp_path / "user.tmp").exists()
    clear(tmp_path / "missing")


def test_a_lock_can_go_with_its_holder_and_excludes_others_as_long(tmp_path):
    folder = tmp_path / "a" / "b"
    with hold(folder, leaves_lock=False), pytest.raises(BusyError), hold(folder, leaves_lock=False):
        pass
    assert not folder.exists()
    with hold(folder, leaves_lock=False):
        (folder / "file").write_bytes(b"")
    assert [each.name for each in folder.iterdir()] == ["file"]
    with pytest.raises(BusyError), hold(folder), hold(folder, leaves_lock=False):
        pass
    assert (folder / "lock").exists()  # it is still of use to others


def test_a_folder_that_its_last_owner_removes_in_the_meantime_is_made_again(tmp_path, monkeypatch):
    folder, acquire, removed = tmp_path / "folder", filelock.FileLock.acquire, []

    def after_a_removal(lock, *args, **options):
        if not removed:
            removed.append(folder.rmdir())
        return acquire(lock, *args, **options)

    monkeypatch.setattr(filelock.FileLock, "acquire", after_a_removal)
    with hold(folder, leaves_lock=False):
        assert removed
        assert folder.is_dir()
