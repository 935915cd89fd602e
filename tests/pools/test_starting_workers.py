"""Worker processes start whatever the working folder, the main script and the server are like."""

import os
import signal
import subprocess
import sys
import threading
import time
from multiprocessing.forkserver import _forkserver
from pathlib import Path

import pytest

from withstand.cli import main
from withstand.errors import InputError
from withstand.pools.block import Block, State
from withstand.pools.local_pool import LocalPool
from withstand.pools.processes import GUARD, UNGUARDED, end_server, start_server, worker_context

ON_LINUX = pytest.mark.skipif(sys.platform != "linux", reason="there is no server")


class Touch(Block):
    def __init__(self, path):
        self.path = path

    def do(self, engine):
        self.path.touch()

    @property
    def marker(self):
        return self.path


class Leave(Touch):
    def do(self, engine):
        os._exit(UNGUARDED)


def ended(pool, block):
    pool.begin("only", block)
    (found,) = pool.wait(100)
    return found[1]


CHECKED = """
import os
from concurrent.futures import ProcessPoolExecutor
from withstand.pools.processes import begin_work, start_server, starting_workers, worker_context
if __name__ == "__main__":
    start_server()
    pool = ProcessPoolExecutor(1, mp_context=worker_context(), initializer=begin_work, initargs=(dict(os.environ),))
    with starting_workers():
        found = pool.submit(os.getenv, "PYTHONSAFEPATH")
    print(found.result(), os.getenv("PYTHONSAFEPATH"))
    pool.shutdown()
"""


def printed(words, **options):
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONSAFEPATH"}
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    return subprocess.run([sys.executable, *words], **streams, env=environment, timeout=100, **options).stdout


def test_workers_import_nothing_from_the_working_folder(tmp_path):
    script, folder = tmp_path / "script.py", tmp_path / "work"
    script.write_text(CHECKED)
    folder.mkdir()
    for name in ("random", "queue", "yaml", "signal"):
        (folder / f"{name}.py").write_text(f"raise SystemExit('{name} of the working folder')")
    assert printed([str(script)], cwd=folder) == "None None\n"


def test_workers_start_without_the_file_of_the_main_script():
    assert printed(["-"], input=CHECKED) == "None None\n"


UNGUARDED_SCRIPT = """
from withstand.cli import main
print("result", main(["corrupt", "images", "copy", "--size", "8", "--corruptions", "brightness", "-j", "2"]))
"""


def test_a_script_without_a_guard_gets_one_sentence(tmp_path):
    from PIL import Image

    (tmp_path / "images").mkdir()
    Image.new("RGB", (8, 8)).save(tmp_path / "images" / "1.png")
    script = tmp_path / "script.py"
    script.write_text(UNGUARDED_SCRIPT)
    told = printed([str(script)], cwd=tmp_path)
    assert "Traceback" not in told
    assert told.splitlines()[-2:] == [f"withstand: {GUARD}", "result 2"]


def test_a_block_of_an_unguarded_script_fails_at_once(tmp_path):
    with LocalPool(1) as pool:
        outcome = ended(pool, Leave(tmp_path / "done"))
    assert outcome.state == State.FAILED
    assert isinstance(outcome.error, InputError)


@ON_LINUX
def test_a_worker_starts_although_the_server_is_killed_meanwhile(tmp_path):
    start_server()
    server = _forkserver._forkserver_pid
    os.kill(server, signal.SIGSTOP)  # so that it accepts no worker
    threading.Timer(0.5, os.kill, (server, signal.SIGKILL)).start()
    with LocalPool(1) as pool:
        assert ended(pool, Touch(tmp_path / "done")).state == State.DONE
    assert (tmp_path / "done").exists()


@ON_LINUX
def test_a_block_is_lost_if_no_worker_can_start(tmp_path, monkeypatch):
    context = worker_context()

    def never(*_):
        raise EOFError("unexpected EOF")

    monkeypatch.setattr("multiprocessing.popen_forkserver.forkserver.connect_to_new_process", never)
    with LocalPool(1) as pool:
        outcome = ended(pool, Touch(tmp_path / "done"))
    assert context.get_start_method() == "forkserver"
    assert (outcome.state, outcome.problem) == (State.LOST, "its process could not start.")


@ON_LINUX
def test_the_server_ends_while_it_imports():
    start_server()
    server = _forkserver._forkserver_pid
    end_server()
    until = time.monotonic() + 20
    while Path(f"/proc/{server}/stat").read_text().rpartition(")")[2].split()[0] != "Z" and time.monotonic() < until:
        time.sleep(0.01)
    start_server()  # a new one, which collects the other
    assert not Path(f"/proc/{server}").exists()


@ON_LINUX
def test_a_command_that_ends_early_leaves_no_server(tmp_path):
    words = [sys.executable, "-m", "withstand", "corrupt", str(tmp_path / "none"), str(tmp_path / "copy"), "-j", "2"]
    streams = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}  # pipes would wait for the server
    environment = {**os.environ, "WITHSTAND_TEST": str(tmp_path)}
    assert subprocess.run(words, **streams, timeout=100, env=environment).returncode == 2
    time.sleep(0.3)  # a killed process takes a moment to go; to import takes seconds
    assert remaining(f"WITHSTAND_TEST={tmp_path}") == []


def remaining(mark):
    """Return the command lines of processes with an environment variable."""
    found = []
    for each in Path("/proc").glob("[0-9]*"):
        try:
            if mark.encode() in (each / "environ").read_bytes().split(b"\0"):
                found.append((each / "cmdline").read_bytes())
        except OSError:
            continue
    return found


def test_a_command_runs_in_any_thread(capsys):
    codes = []
    thread = threading.Thread(target=lambda: codes.append(main(["list", "corruptions"])))
    thread.start()
    thread.join()
    assert codes == [0]
