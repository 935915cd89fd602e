"""Block: a unit of work, and the outcome of an attempt."""

import pickle
import traceback
from abc import ABC, abstractmethod
from contextlib import suppress
from copy import copy
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

import torch

from withstand.engine import Engine
from withstand.errors import BusyError, InputError
from withstand.pools.memory import keep_freed_memory


class State(StrEnum):
    """How an attempt ended."""

    DONE = "done"
    FAILED = "failed"
    BUSY = "busy"
    LOST = "lost"


class Outcome(NamedTuple):
    """How an attempt ended, and the problem if it failed.

    `busy`: another process works on the block; `lost`: its process or machine is gone. `error` is the exception, if
    there is one that can be sent between processes.
    """

    state: State
    problem: str = ""
    error: Exception | None = None


class Block(ABC):
    """A unit of work, such as a run of a sweep, or a range of samples.

    It is pickled and sent to any process or machine. Its results are files, which do not depend on the process, the
    order or the number of attempts. Its files alone tell whether it is done.
    """

    @abstractmethod
    def do(self, engine: Engine) -> None:
        """Do the work, or what is left of it, and write its files."""

    @property
    @abstractmethod
    def marker(self) -> Path:
        """The file that is written last, below a folder among the block's fields."""

    def is_done(self) -> bool:
        """Return whether the marker is there."""
        return self.marker.is_file()

    def is_busy(self) -> bool:
        """Return whether another process works on it."""
        return False

    def record(self, sentence: str, trace: str) -> None:
        """Record why it failed, in its folder."""
        return


def failed(block: Block, sentence: str, trace: str = "", *, error: Exception | None = None) -> Outcome:
    """Return the outcome of a failed block, and record the failure if possible."""
    with suppress(OSError, InputError):  # such as a full disk or a lost object store, of which it may have failed
        block.record(sentence, trace)
    return Outcome(State.FAILED, sentence, error)


def attempt(block: Block, engine: Engine) -> Outcome:
    """Do a block in this process, and return how it ended."""
    try:
        block.do(engine)
    except BusyError:
        return Outcome(State.BUSY)
    except Exception as problem:  # the other blocks continue
        return _failed_by(problem, block)
    return Outcome(State.DONE)


def attempt_on(device: str, block: Block) -> Outcome:
    """Do a block in this process, of which it is the work, with one thread, for equal results everywhere."""
    torch.set_num_threads(1)
    keep_freed_memory()
    try:
        engine = Engine.start(device=device)
    except Exception as problem:  # such as a GPU that is out of order
        return _failed_by(problem, block)
    return attempt(block, engine)


def _failed_by(problem: Exception, block: Block) -> Outcome:
    """Return the outcome of a block that failed by an exception; to be called while it is handled."""
    known = isinstance(problem, ValueError | RuntimeError | OSError) and str(problem)
    sentence = str(problem) if known else f"{type(problem).__name__}: {problem}"
    return failed(block, sentence, traceback.format_exc(), error=_sendable(problem))


def _sendable(problem: Exception) -> Exception | None:
    """Return an exception if another process can read it."""
    try:
        pickle.dumps(problem)
        copy(problem)  # as unpickling does, this calls the class with the arguments of the exception
    except Exception:  # of foreign classes, which may raise anything
        return None
    return problem
