"""SlurmPool: blocks in Slurm jobs. Only this file imports submitit."""

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from withstand.errors import InputError, brief
from withstand.pools.block import Block, Outcome, State, attempt_on
from withstand.pools.pool import Pool

JOBS = "jobs"
DEFAULTS = {"name": "withstand", "timeout_min": 60, "cpus_per_task": 1}
GENERIC = ("name", "timeout_min", "mem_gb", "cpus_per_task", "gpus_per_node", "stderr_to_stdout")
MOST_JOBS = 100


@dataclass
class Job:
    """A submitted job, and the blocks that were not yet seen to end, in order."""

    handle: Any
    blocks: dict[str, Block]


class Chunk:
    """The blocks of a job; resumed in another job at the time limit."""

    def __call__(self, blocks: Mapping[str, Block], device: str) -> dict[str, Outcome]:
        """Do the blocks in sequence, and return how they ended."""
        done = Outcome(State.DONE)
        return {key: done if each.is_done() else attempt_on(device, each) for key, each in blocks.items()}

    def checkpoint(self, blocks: Mapping[str, Block], device: str) -> Any:
        """Return the follow-up job, which repeats no finished block."""
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self, blocks, device)


class SlurmPool(Pool):
    """Jobs submitted to Slurm by submitit; blocks that are done are seen by their files."""

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
            root: Folder of the results; scripts and logs of the jobs are in its `jobs`.
            chunk: Blocks per job, at least 1.
            most: Jobs at a time; None takes 100.
            options: Job options of submitit or Slurm; `cluster: local` uses processes on this machine.
            device: For `Engine.start`, in the job.

        Raises:
            InputError: If submitit or Slurm is missing, or an option is unknown.
        """
        if chunk < 1:
            raise InputError(f"chunk: expected a number of at least 1, got {chunk}.")
        self.chunk, self.most, self.device = chunk, most or MOST_JOBS, device
        self.executor = make_executor(root.resolve() / JOBS, dict(options or {}))
        self.gathered: dict[str, Block] = {}
        self.busy: list[str] = []
        self.jobs: list[Job] = []

    @property
    def free(self) -> int:
        """Number of blocks that fit in jobs yet to be submitted."""
        return max(0, (self.most - len(self.jobs)) * self.chunk - len(self.gathered))

    def begin(self, key: str, block: Block) -> None:
        """Queue a block for the next job, unless another process works on it."""
        if block.is_busy():
            self.busy.append(key)
        else:
            self.gathered[key] = block

    def wait(self, seconds: float) -> list[tuple[str, Outcome]]:
        """Submit the gathered blocks, and return those that ended."""
        self._submit()
        ended = [(key, Outcome(State.BUSY)) for key in self.busy]
        self.busy.clear()
        ended += [each for job in self.jobs for each in _ended(job)]
        self.jobs = [job for job in self.jobs if job.blocks]
        if not ended:
            time.sleep(seconds)
        return ended

    def close(self) -> None:
        """Cancel the jobs."""
        for job in self.jobs:
            with suppress(Exception):  # it continues, and its blocks are found done next time
                job.handle.cancel(check=False)

    def _submit(self) -> None:
        waiting = iter(self.gathered.items())
        chunks = [chunk for chunk in iter(lambda: dict(islice(waiting, self.chunk)), {})]
        self.gathered = {}
        if chunks:
            with self.executor.batch():
                handles = [self.executor.submit(Chunk(), chunk, self.device) for chunk in chunks]
            self.jobs += [Job(handle, chunk) for handle, chunk in zip(handles, chunks, strict=True)]


def _ended(job: Job) -> Iterator[tuple[str, Outcome]]:
    """Yield the blocks of a job that ended, and take them off it."""
    over = job.handle.done()
    found: dict[str, Outcome] = {}
    if over:
        try:
            found = job.handle.result()
        except Exception:  # of its process or node; submitit has exceptions of its own for each reason
            reason = f"its job ended as {str(job.handle.state).lower()}; see {Path(job.handle.paths.stderr)}."
            found = {key: Outcome(State.LOST, reason) for key in job.blocks}
    for key, block in list(job.blocks.items()):
        outcome = Outcome(State.DONE) if block.is_done() else found.get(key)
        if outcome is None:
            return  # those after it have not begun
        del job.blocks[key]
        yield key, outcome


def make_executor(folder: Path, options: dict[str, Any]) -> Any:
    """Return the executor that submits jobs.

    Raises:
        InputError: If submitit or Slurm is missing, or an option is unknown.
    """
    try:
        import submitit
    except ModuleNotFoundError as problem:
        raise InputError("slurm: needs submitit; install it with pip install 'withstand[cluster]'.") from problem
    cluster = options.pop("cluster", "slurm")
    if cluster not in ("slurm", "local"):
        raise InputError(f"slurm_options: the option cluster must be slurm or local, got {brief(cluster)}.")
    try:
        executor = submitit.AutoExecutor(folder=folder, cluster=cluster)
    except RuntimeError as problem:
        raise InputError("slurm: found no srun on this machine.") from problem
    named = {name if name in GENERIC else f"slurm_{name}": value for name, value in (DEFAULTS | options).items()}
    try:
        executor.update_parameters(**named)
    except (NameError, TypeError, ValueError, AssertionError) as problem:
        sentence = str(problem).strip().partition("\n")[0].partition(" Valid ")[0].removesuffix(".")
        raise InputError(f"slurm_options: cannot be used ({sentence}).") from problem
    return executor


def check_options(text: str, *, submits: bool) -> None:
    """Reject options of Slurm that cannot be used, and, if jobs will be submitted, a machine without Slurm."""
    options = read_options(text)
    if submits:
        with TemporaryDirectory() as folder:
            make_executor(Path(folder), options)


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
            raise InputError(f"slurm_options: must be NAME=VALUE with commas in between, got {brief(text)}.")
        options[name.strip()] = _read_value(value)
    return options


def _read_value(text: str) -> Any:
    """Return a JSON value, or the text itself, such as the time 1:30:00."""
    try:
        return json.loads(text)
    except ValueError:
        return text
