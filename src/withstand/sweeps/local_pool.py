"""LocalPool: worker processes on this machine."""

import multiprocessing
import signal
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path

from withstand.engine import become_worker, starting_workers
from withstand.experiment import Experiment
from withstand.sweeps.attempt import Outcome, State, attempt_on
from withstand.sweeps.pool import Pool


@dataclass
class Worker:
    """A process and its current run."""

    process: BaseProcess
    connection: Connection
    device: str
    key: str | None = None


class LocalPool(Pool):
    """Worker processes with one thread each; dead ones are replaced."""

    def __init__(self, size: int, root: Path, *, devices: Sequence[str]) -> None:
        """Start the processes.

        Args:
            size: How many, at least 1.
            root: Folder of the runs.
            devices: Assigned to the processes in turn.
        """
        self.root = root
        self.context = multiprocessing.get_context("spawn")
        self.workers = [self._start(devices[number % len(devices)]) for number in range(size)]

    @property
    def free(self) -> int:
        """Number of idle processes."""
        return sum(each.key is None for each in self.workers)

    def begin(self, key: str, experiment: Experiment) -> None:
        """Give a run to an idle process."""
        number = next(number for number, each in enumerate(self.workers) if each.key is None)
        if not self.workers[number].process.is_alive():
            self._replace(number)
        worker = self.workers[number]
        worker.key = key
        try:
            worker.connection.send(experiment)
        except (BrokenPipeError, ConnectionResetError):
            pass  # found dead by the next wait

    def wait(self, seconds: float) -> list[tuple[str, Outcome]]:
        """Return the runs that ended; a run whose process is gone is lost."""
        at_work = {each.connection: number for number, each in enumerate(self.workers) if each.key is not None}
        ended = []
        for connection in wait(list(at_work), timeout=seconds):
            number = at_work[connection]  # pyright: ignore[reportArgumentType]
            worker = self.workers[number]
            key, worker.key = worker.key, None
            assert key is not None
            try:
                ended.append((key, worker.connection.recv()))
            except (EOFError, ConnectionResetError):
                worker.process.join()
                code = worker.process.exitcode or 0
                name = signal.Signals(-code).name if code < 0 else f"exit code {code}"
                ended.append((key, Outcome(State.LOST, f"its process ended with {name}.")))
                self._replace(number)
        return ended

    def close(self) -> None:
        """End the processes."""
        for each in self.workers:
            each.connection.close()
            if each.key is not None:
                each.process.terminate()
        for each in self.workers:
            each.process.join(timeout=5)
            if each.process.is_alive():
                each.process.kill()
                each.process.join()

    def _start(self, device: str) -> Worker:
        ours, theirs = self.context.Pipe()
        process = self.context.Process(target=work, args=(theirs, self.root, device), daemon=True)
        with starting_workers():
            process.start()
        theirs.close()
        return Worker(process, ours, device)

    def _replace(self, number: int) -> None:
        old = self.workers[number]
        old.connection.close()
        self.workers[number] = self._start(old.device)


def work(connection: Connection, root: Path, device: str) -> None:
    """Do runs until the connection or the parent process ends."""
    become_worker()
    while True:
        try:
            experiment: Experiment = connection.recv()
        except EOFError:
            return
        outcome = attempt_on(device, experiment, root)
        try:
            connection.send(outcome)
        except (BrokenPipeError, ConnectionResetError):
            return
