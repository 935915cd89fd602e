"""SlurmPool: runs in Slurm jobs. Only this file imports submitit."""

import json
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from withstand.errors import BusyError, InputError, brief
from withstand.experiment import ROWS, Experiment
from withstand.files import hold
from withstand.study.sweep import FAILED, read_failure
from withstand.sweeps.attempt import Outcome, State, attempt_on
from withstand.sweeps.pool import Pool

JOBS = "jobs"
DEFAULTS = {"name": "withstand", "timeout_min": 60, "cpus_per_task": 1}
GENERIC = ("name", "timeout_min", "mem_gb", "cpus_per_task", "gpus_per_node", "stderr_to_stdout")
MOST_JOBS = 100


@dataclass
class Job:
    """A submitted job, and its unfinished runs in order."""

    handle: Any
    runs: list[str]


class Chunk:
    """The runs of a job; resumed in another job at the time limit."""

    def __call__(self, experiments: Sequence[Experiment], root: Path, device: str) -> None:
        """Do the runs in sequence; outcomes are read from their folders."""
        for each in experiments:
            attempt_on(device, each, root)

    def checkpoint(self, experiments: Sequence[Experiment], root: Path, device: str) -> Any:
        """Return the follow-up job, which repeats no finished run."""
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self, experiments, root, device)


class SlurmPool(Pool):
    """Jobs submitted to Slurm by submitit; outcomes are read from the folders of the runs."""

    def __init__(
        self,
        root: Path,
        *,
        chunk: int = 10,
        most: int | None = None,
        options: Mapping[str, Any] | None = None,
        device: str = "auto",
    ) -> None:
        """Find Slurm.

        Args:
            root: Folder of the runs; scripts and logs of the jobs are in its `jobs`.
            chunk: Runs per job, at least 1.
            most: Jobs at a time; None takes 100.
            options: Job options of submitit or Slurm; `cluster: local` uses processes on this machine.
            device: For `Engine.start`, in the job.

        Raises:
            InputError: If submitit or Slurm is missing, or an option is unknown.
        """
        if chunk < 1:
            raise InputError(f"sweep: chunk must be a number of runs of at least 1, got {chunk}.")
        self.root, self.chunk, self.most, self.device = root.resolve(), chunk, most or MOST_JOBS, device
        self.executor = make_executor(self.root / JOBS, dict(options or {}))
        self.gathered: list[tuple[str, Experiment]] = []
        self.held: list[str] = []
        self.jobs: list[Job] = []

    @property
    def free(self) -> int:
        """Number of runs that fit in jobs yet to be submitted."""
        return max(0, (self.most - len(self.jobs)) * self.chunk - len(self.gathered))

    def begin(self, key: str, experiment: Experiment) -> None:
        """Queue a run for the next job, unless another process works on it."""
        if is_held(self.root / key):
            self.held.append(key)
        else:
            self.gathered.append((key, experiment))

    def wait(self, seconds: float) -> list[tuple[str, Outcome]]:
        """Submit the gathered runs, and return those that ended."""
        self._submit()
        ended = [(key, Outcome(State.BUSY)) for key in self.held]
        self.held.clear()
        ended += [each for job in self.jobs for each in self._ended(job)]
        self.jobs = [job for job in self.jobs if job.runs]
        if not ended:
            time.sleep(seconds)
        return ended

    def close(self) -> None:
        """Cancel the jobs."""
        for job in self.jobs:
            with suppress(Exception):  # it continues, and is found finished next time
                job.handle.cancel(check=False)

    def _submit(self) -> None:
        if not self.gathered:
            return
        chunks = [self.gathered[start : start + self.chunk] for start in range(0, len(self.gathered), self.chunk)]
        self.gathered = []
        with self.executor.batch():
            handles = []
            for chunk in chunks:
                for key, _ in chunk:
                    (self.root / key / FAILED).unlink(missing_ok=True)
                experiments = [experiment for _, experiment in chunk]
                handles.append(self.executor.submit(Chunk(), experiments, self.root, self.device))
        self.jobs += [Job(handle, [key for key, _ in chunk]) for handle, chunk in zip(handles, chunks, strict=True)]

    def _ended(self, job: Job) -> list[tuple[str, Outcome]]:
        """Remove and return the ended runs of a job."""
        over = job.handle.done()  # checked first: results missing after the end stay missing
        ended = []
        for key in job.runs:
            outcome = outcome_of(self.root / key)
            if outcome is None and not over:
                break  # those after it have not begun
            ended.append((key, outcome or self._unfinished(key, job)))
        del job.runs[: len(ended)]
        return ended

    def _unfinished(self, key: str, job: Job) -> Outcome:
        if is_held(self.root / key):
            return Outcome(State.BUSY)
        where = Path(job.handle.paths.stderr)
        return Outcome(State.LOST, f"its job ended as {str(job.handle.state).lower()}; see {where}.")


def outcome_of(folder: Path) -> Outcome | None:
    """Return how a run ended, from the files in its folder; None if it has not."""
    if (folder / ROWS).exists():
        return Outcome(State.DONE)
    problem = read_failure(folder)
    return None if problem is None else Outcome(State.FAILED, problem)


def is_held(folder: Path) -> bool:
    """Return whether a process works on a run."""
    if not folder.exists():
        return False
    try:
        with hold(folder):
            return False
    except BusyError:
        return True


def make_executor(folder: Path, options: dict[str, Any]) -> Any:
    """Return the executor that submits jobs.

    Raises:
        InputError: If submitit or Slurm is missing, or an option is unknown.
    """
    try:
        import submitit
    except ModuleNotFoundError as problem:
        raise InputError(
            "sweep: --slurm needs submitit; install it with pip install 'withstand[cluster]'."
        ) from problem
    cluster = options.pop("cluster", "slurm")
    if cluster not in ("slurm", "local"):
        raise InputError(f"sweep: the option cluster must be slurm or local, got {brief(cluster)}.")
    try:
        executor = submitit.AutoExecutor(folder=folder, cluster=cluster)
    except RuntimeError as problem:
        raise InputError("sweep: --slurm found no srun on this machine.") from problem
    named = {name if name in GENERIC else f"slurm_{name}": value for name, value in (DEFAULTS | options).items()}
    try:
        executor.update_parameters(**named)
    except (NameError, TypeError, ValueError, AssertionError) as problem:
        sentence = str(problem).strip().partition("\n")[0].partition(" Valid ")[0].removesuffix(".")
        raise InputError(f"sweep: slurm_options cannot be used ({sentence}).") from problem
    return executor


def read_options(text: str) -> dict[str, Any]:
    """Parse options such as `partition=gpu,timeout_min=120`.

    Raises:
        InputError: If the format is wrong.

    Example:
        >>> read_options("partition=gpu,timeout_min=120")
        {'partition': 'gpu', 'timeout_min': 120}
    """
    options = {}
    for each in filter(None, text.split(",")):
        name, equals, value = each.partition("=")
        if not equals or not name.strip().isidentifier():
            raise InputError(f"sweep: slurm_options must be NAME=VALUE with commas in between, got {brief(text)}.")
        options[name.strip()] = _read_value(value)
    return options


def _read_value(text: str) -> Any:
    """Return a JSON value, or the text itself, such as the time 1:30:00."""
    try:
        return json.loads(text)
    except ValueError:
        return text
