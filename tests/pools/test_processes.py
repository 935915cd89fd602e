"""Workers have the environment of the moment, and nothing outlives the process that started them."""

import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from importlib.util import find_spec
from pathlib import Path

import pytest

from withstand import cli
from withstand.pools.processes import IMPORTED, begin_work, start_server, worker_context


def in_worker(function, *words):
    options = {"initializer": begin_work, "initargs": (dict(os.environ),)}
    with ProcessPoolExecutor(1, mp_context=worker_context(), **options) as pool:
        return pool.submit(function, *words).result()


def test_a_worker_sees_the_environment_of_the_moment(monkeypatch):
    monkeypatch.setenv("WITHSTAND_TEST", "early")
    start_server()
    monkeypatch.setenv("WITHSTAND_TEST", "late")
    assert in_worker(os.getenv, "WITHSTAND_TEST") == "late"
    monkeypatch.delenv("WITHSTAND_TEST")
    assert in_worker(os.getenv, "WITHSTAND_TEST") is None


KILLED = """
import os, signal, sys, time
from withstand.pools.processes import begin_work, start_server, worker_context
from concurrent.futures import ProcessPoolExecutor
if __name__ == "__main__":
    start_server()
    pool = ProcessPoolExecutor(1, mp_context=worker_context(), initializer=begin_work, initargs=(dict(os.environ),))
    worker = pool.submit(os.getpid).result()
    server = open(f"/proc/{worker}/stat").read().rpartition(")")[2].split()[1]
    pool.submit(time.sleep, 600)
    print(worker, server, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")
def test_workers_and_their_server_end_with_a_killed_parent(tmp_path):
    script = tmp_path / "killed.py"
    script.write_text(KILLED)
    done = subprocess.run([sys.executable, str(script)], stdout=subprocess.PIPE, text=True, timeout=100)
    assert done.returncode == -signal.SIGKILL
    pids = done.stdout.split()
    assert len(pids) == 2
    until = time.monotonic() + 20
    while any(Path(f"/proc/{each}").exists() for each in pids) and time.monotonic() < until:
        time.sleep(0.2)
    assert [each for each in pids if Path(f"/proc/{each}").exists()] == []


def test_a_command_does_not_wait_for_torch_to_start_processes():
    script = "import sys, withstand.cli, withstand.pools.processes; print('torch' in sys.modules)"
    assert subprocess.check_output([sys.executable, "-c", script], text=True) == "False\n"


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="needs /proc")
def test_what_the_server_imports_exists_and_starts_no_threads():
    """The server itself passes over modules that are missing. OpenBLAS is left out: it starts its threads again."""
    further = [each for own in cli.IMPORTED.values() for each in own if find_spec(each.partition(".")[0])]
    modules = [*IMPORTED, *further]
    script = f"import os, {', '.join(modules)}; print(len(os.listdir('/proc/self/task')))"
    environment = os.environ | dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    assert subprocess.check_output([sys.executable, "-c", script], text=True, env=environment) == "1\n"


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("evaluate run -j 2", True),
        ("evaluate run -j2 --on clean", True),
        ("sweep s.yaml --workers=8", True),
        ("evaluate run -j 1", False),
        ("evaluate run", False),
        ("evaluate run -j 2 --address auto", False),
        ("evaluate run -j 2 --address=auto", False),
        ("evaluate run -j 2 --dry_run", False),
        ("sweep s.yaml -j 4 --slurm", False),
        ("corrupt a b -j 0", False),
        ("train -j 4", False),
    ],
)
def test_processes_start_early_for_commands_that_work_with_several(words, expected):
    command, *others = words.split()
    assert cli._needs_processes(command, others) == expected
