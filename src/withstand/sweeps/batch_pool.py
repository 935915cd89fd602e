"""BatchPool: trains similar runs in one batch, in this process."""

import time
import traceback
from pathlib import Path

from withstand.engine import Engine
from withstand.errors import BusyError, InputError
from withstand.experiment import Experiment
from withstand.pools.block import Block, Outcome, State, attempt, failed
from withstand.pools.pool import Pool
from withstand.stacked.kinds import check, kinds_of
from withstand.stacked.trials import TrialsError, most_at_once, run_together
from withstand.study.sweep import FAILED
from withstand.sweeps.run_block import RunBlock

MOST = 100_000  # waiting runs


class BatchPool(Pool):
    """Trains runs of one kind in one batch, others one by one, in this process."""

    def __init__(self, root: Path, *, device: str) -> None:
        """Start without runs.

        Args:
            root: Folder of the runs.
            device: Device of the training.
        """
        self.root, self.engine = root, Engine.start(device=device)
        self.waiting: dict[str, Experiment] = {}

    @property
    def free(self) -> int:
        """How many more runs may wait; they are grouped by kind."""
        return MOST - len(self.waiting)

    def begin(self, key: str, block: Block) -> None:
        """Queue a run for a batch of its kind."""
        assert isinstance(block, RunBlock)
        self.waiting[key] = block.experiment

    def wait(self, seconds: float) -> list[tuple[str, Outcome]]:
        """Do the runs of the kind that has waited longest; blocks until they are done."""
        if not self.waiting:
            time.sleep(seconds)
            return []
        keys = {experiment.folder(self.root): key for key, experiment in self.waiting.items()}
        kind = kinds_of(list(self.waiting.values()))[0]
        batch = kind[: most_at_once(self.engine, len(kind))]
        try:
            for each in batch:
                check(each, self.engine)
        except InputError:
            batch = batch[:1]
            outcomes = [attempt(RunBlock(batch[0], self.root), self.engine)]
        else:
            outcomes = self._together(batch)
        found = [keys[each.folder(self.root)] for each in batch]
        for key in found:
            del self.waiting[key]
        return list(zip(found, outcomes, strict=True))

    def close(self) -> None:
        """Drop the waiting runs."""
        self.waiting.clear()

    def _together(self, batch: list[Experiment]) -> list[Outcome]:
        """Train a batch, and return how each run ended; reasons of failures are written into the folders."""
        failures: dict[Path, str] = {}
        general, trace = "", ""
        try:
            run_together(batch, self.root, engine=self.engine, at_once=len(batch))
        except BusyError:
            return [Outcome(State.BUSY)] * len(batch)
        except TrialsError as problem:
            failures, trace = problem.failures, traceback.format_exc()
        except Exception as problem:  # the other runs continue
            general, trace = f"{type(problem).__name__}: {problem}", traceback.format_exc()
        outcomes = []
        for each in batch:
            block = RunBlock(each, self.root)
            if block.is_done():
                (block.folder / FAILED).unlink(missing_ok=True)
                outcomes.append(Outcome(State.DONE))
            else:
                outcomes.append(failed(block, failures.get(block.folder, general), trace))
        return outcomes
