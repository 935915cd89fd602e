import errno
import os
import subprocess
import sys

import filelock
import pytest

from withstand.errors import BusyError
from withstand.files import hold, write_whole

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
    with pytest.raises(OSError, match="lock"), hold(tmp_path):
        pass


def test_a_file_is_replaced_as_a_whole_and_leaves_no_other(tmp_path):
    path = tmp_path / "a" / "b.txt"
    for content in (b"long content", b"short"):
        write_whole(path, content, settle=content == b"short")
        assert path.read_bytes() == content
    assert list(path.parent.iterdir()) == [path]
