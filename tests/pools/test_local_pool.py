"""A pool of processes: it ends at once, waits without work, and names how a process ended."""

import os
import signal
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from withstand.engine import Engine
from withstand.pools import local_pool
from withstand.pools.block import Block, State, attempt_on
from withstand.pools.local_pool import LocalPool


@dataclass(frozen=True)
class Failing(Block):
    """A block whose exception cannot be pickled."""

    def do(self, engine):
        raise ValueError("the reason.", lambda: None)

    @property
    def marker(self):
        return Path("none")


@dataclass(frozen=True)
class Sleep(Block):
    """A block that sleeps, or dies at once."""

    seconds: float = 0.0

    def do(self, engine):
        if not self.seconds:
            os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(self.seconds)

    @property
    def marker(self):
        return Path("none")


def test_a_pool_without_work_waits():
    begun = time.monotonic()
    with LocalPool(1) as pool:
        assert pool.wait(0.3) == []
    assert time.monotonic() - begun >= 0.3


def test_a_block_whose_exception_cannot_be_sent_has_failed():
    with LocalPool(1) as pool:
        pool.begin("block", Failing())
        while not (ended := pool.wait(1.0)):
            pass
    ((key, outcome),) = ended
    assert (key, outcome.state, outcome.error) == ("block", State.FAILED, None)
    assert "the reason." in outcome.problem


def test_a_block_whose_device_does_not_start_has_failed(monkeypatch):
    monkeypatch.setattr(Engine, "start", lambda **_: (_ for _ in ()).throw(RuntimeError("no kernel image.")))
    assert attempt_on("cuda", Failing())[:2] == (State.FAILED, "no kernel image.")


def test_a_block_whose_process_is_killed_is_lost_by_its_signal():
    with LocalPool(1) as pool:
        pool.begin("a", Sleep())
        while not (ended := pool.wait(1.0)):
            pass
        ((key, outcome),) = ended
        assert (key, outcome.state) == ("a", State.LOST)
        assert "SIGKILL" in outcome.problem
        assert pool.free == 1


def test_ctrl_c_while_a_process_starts_does_not_wait_for_its_block(monkeypatch):
    """Ctrl-C is blocked while a process starts, and raises as soon as it is not."""

    @contextmanager
    def interrupted():
        yield
        raise KeyboardInterrupt

    monkeypatch.setattr(local_pool, "starting_workers", interrupted)
    pool = LocalPool(1)
    with pytest.raises(KeyboardInterrupt):
        pool.begin("a", Sleep(120.0))
    begun = time.monotonic()
    pool.close()
    assert time.monotonic() - begun < 60
