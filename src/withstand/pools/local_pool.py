"""LocalPool: worker processes on this machine."""

import os
import signal
import time
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.process import BaseProcess

from withstand.errors import InputError
from withstand.pools.block import Block, Outcome, State, attempt_on
from withstand.pools.pool import Pool
from withstand.pools.processes import GUARD, UNGUARDED, begin_work, starting_workers, worker_context

SECONDS_TO_END = 0.2
GONE = (BrokenProcessPool, EOFError, ConnectionError)  # the process, or the server that starts it


class LocalPool(Pool):
    """Worker processes with one thread each; dead ones are replaced."""

    def __init__(self, size: int, *, devices: Sequence[str] = ("cpu",)) -> None:
        """Prepare the processes, which start when they are needed.

        Args:
            size: How many, at least 1.
            devices: Assigned to the processes in turn.
        """
        self.workers = [Worker(devices[number % len(devices)]) for number in range(size)]

    @property
    def free(self) -> int:
        """Number of idle processes."""
        return sum(each.future is None for each in self.workers)

    def begin(self, key: str, block: Block) -> None:
        """Give a block to an idle process."""
        next(each for each in self.workers if each.future is None).begin(key, block)

    def wait(self, seconds: float) -> list[tuple[str, Outcome]]:
        """Return the blocks that ended; a block whose process is gone is lost."""
        at_work = [each.future for each in self.workers if each.future]
        if not at_work:
            time.sleep(seconds)
        wait(at_work, timeout=seconds, return_when=FIRST_COMPLETED)
        return [each.ended() for each in self.workers if each.future and each.future.done()]

    def close(self) -> None:
        """End the processes."""
        for each in self.workers:
            each.close()


class Worker:
    """One process, replaced when it dies, and its current block.

    An executor of one process each: when the process of an executor dies, all of its blocks are lost.
    """

    def __init__(self, device: str) -> None:
        """Name the device of the process."""
        self.device = device
        self.executor: ProcessPoolExecutor | None = None
        self.process: BaseProcess | None = None
        self.future: Future[Outcome] | None = None
        self.key = ""

    def begin(self, key: str, block: Block) -> None:
        """Begin a block, in a new process if there is none; it is lost if none can start."""
        self.key = key
        try:
            self._submit(block)
        except GONE:  # while it was idle
            self.close()
            time.sleep(SECONDS_TO_END)  # a server that ends closes its socket first, and cannot be replaced until later
            try:
                self._submit(block)
            except GONE:
                self.close()
                self.future = Future()
                self.future.set_exception(BrokenProcessPool())

    def ended(self) -> tuple[str, Outcome]:
        """Return the key and the outcome of the block that has ended."""
        assert self.future is not None
        future, self.future = self.future, None
        try:
            return self.key, future.result()
        except BrokenProcessPool:
            process = self.process
            self.close()  # first: the executor reads the exit code, too, and only one reader gets it
            return self.key, _end_of(process)

    def close(self) -> None:
        """End the process, at once if it works on a block."""
        if self.executor is None:
            return
        if self.future is not None and self.process is not None:
            self.process.terminate()
        self.executor.shutdown(cancel_futures=True)
        self.executor = self.process = self.future = None

    def _submit(self, block: Block) -> None:
        if self.executor is None:
            options = {"initializer": begin_work, "initargs": (dict(os.environ),)}
            self.executor = ProcessPoolExecutor(1, mp_context=worker_context(), **options)
        with starting_workers():  # the first block starts the process; Ctrl-C afterwards finds both to end
            self.future = self.executor.submit(attempt_on, self.device, block)
            self.process = next(iter(self.executor._processes.values()), None)


def _end_of(process: BaseProcess | None) -> Outcome:
    """Return the outcome of a block whose process is gone, or never came."""
    if process is None:
        return Outcome(State.LOST, "its process could not start.")
    code = process.exitcode or 0
    if code == UNGUARDED:  # as it would be again
        return Outcome(State.FAILED, GUARD, InputError(GUARD))
    name = signal.Signals(-code).name if code < 0 else f"exit code {code}"
    return Outcome(State.LOST, f"its process ended with {name}.")
