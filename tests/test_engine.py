import subprocess
import sys
from pathlib import Path

import pytest
import torch
import torch.distributed as dist

from withstand.engine import Engine, join_group, leave_group
from withstand.errors import InputError


def test_a_launcher_that_sets_only_the_number_of_processes_is_refused(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.delenv("RANK", raising=False)
    with pytest.raises(InputError, match=r"^processes: .*RANK"):
        Engine.start(device="cpu")


def test_joining_uses_gloo_on_a_cpu_and_every_exchange_works(monkeypatch, tmp_path):
    for name, value in {"RANK": "0", "LOCAL_RANK": "0", "WORLD_SIZE": "1", "MASTER_ADDR": "127.0.0.1"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("MASTER_PORT", "0")
    try:
        assert join_group("cpu") == torch.device("cpu")
        assert join_group("cpu") == torch.device("cpu")  # a second engine in the same process
        assert dist.get_backend() == "gloo"
        engine = Engine(rank=0, world_size=2)
        assert engine.gather({"a": 1}) == [{"a": 1}, None]
        assert engine.of_first("b") == "b"
        engine.wait()
    finally:
        leave_group()
    assert not dist.is_initialized()


STARTING = """
import multiprocessing, pathlib, re, time
from withstand.pools.processes import starting_workers
process = multiprocessing.get_context("spawn").Process(target=time.sleep, args=(60,), daemon=True)
with starting_workers():
    process.start()
status = pathlib.Path(f"/proc/{process.pid}/status").read_text()
print(int(re.search(r"SigBlk:\\s*(\\w+)", status)[1], 16) >> 1 & 1)
process.kill()
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc")
def test_ctrl_c_is_blocked_in_the_first_worker_of_a_process_as_in_any_other():
    done = subprocess.run([sys.executable, "-c", STARTING], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.split() == ["1"]


FAILING = """
import sys, threading
from withstand.pools.processes import become_worker
become_worker()
for problem in (ConnectionResetError("left"), EOFError("left"), ValueError("a fault")):
    thread = threading.Thread(target=lambda: sys.excepthook(type(problem), problem, None))
    thread.start()
    thread.join()
raise ConnectionResetError("of the worker itself")
"""


def test_threads_of_a_worker_do_not_report_that_its_parent_has_left():
    done = subprocess.run([sys.executable, "-c", FAILING], capture_output=True, text=True, timeout=60)
    assert "left" not in done.stderr
    assert "a fault" in done.stderr
    assert "of the worker itself" in done.stderr
