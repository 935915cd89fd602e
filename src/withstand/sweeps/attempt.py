"""One run of a sweep; its failure does not affect the others."""

import traceback
from contextlib import suppress
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

import torch

from withstand.engine import Engine
from withstand.errors import BusyError, InputError
from withstand.experiment import Experiment, run
from withstand.study.sweep import FAILED, write_failure
from withstand.sweeps.latest_data import latest_data


class State(StrEnum):
    """How an attempt ended."""

    DONE = "done"
    FAILED = "failed"
    BUSY = "busy"
    LOST = "lost"


class Outcome(NamedTuple):
    """How an attempt ended, and the problem if it failed.

    `busy`: another process works on the run; `lost`: its process or machine is gone.
    """

    state: State
    problem: str = ""


def failed(folder: Path, sentence: str, trace: str) -> Outcome:
    """Return the outcome of a failed run, and also write it into the run's folder if possible."""
    with suppress(OSError):  # such as a full disk, of which the run may have failed
        write_failure(folder, sentence, trace)
    return Outcome(State.FAILED, sentence)


def attempt(experiment: Experiment, root: Path, engine: Engine) -> Outcome:
    """Do or resume a run, and return how it ended; a failure is also written into the run's folder."""
    folder = experiment.folder(root)
    try:
        run(experiment, root, engine=engine, load=latest_data)
    except BusyError:
        return Outcome(State.BUSY)
    except Exception as problem:  # the other runs continue
        known = isinstance(problem, ValueError | RuntimeError | OSError) and str(problem)
        sentence = str(problem) if known else f"{type(problem).__name__}: {problem}"
        return failed(folder, sentence, traceback.format_exc())
    (folder / FAILED).unlink(missing_ok=True)
    return Outcome(State.DONE)


def attempt_on(device: str, experiment: Experiment, root: Path) -> Outcome:
    """Do a run in this process, with one thread as in all of a sweep, for equal results."""
    torch.set_num_threads(1)
    try:
        engine = Engine.start(device=device)
    except InputError as problem:
        return failed(experiment.folder(root), str(problem), traceback.format_exc())
    return attempt(experiment, root, engine)
