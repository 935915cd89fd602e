"""Execution of the missing runs of a sweep."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from withstand.errors import BusyError
from withstand.experiment import is_finished
from withstand.files import hold
from withstand.pools.block import Outcome, State
from withstand.pools.pool import Pool
from withstand.pools.work import work
from withstand.study.sweep import FAILED, write_entries
from withstand.sweeps.earlier import Union, unite
from withstand.sweeps.plan import Plan
from withstand.sweeps.run_block import RunBlock

SECONDS_OF_PATIENCE = 10


class Watch(Protocol):
    """Receives a callback when a run begins or ends. Does not affect results."""

    def on_begin(self, run: str) -> None:
        """Receive a run that begins."""

    def on_end(self, run: str, outcome: Outcome) -> None:
        """Receive a run that ended here or in another process."""


@dataclass(kw_only=True)
class Tally:
    """How the runs of a sweep ended.

    Attributes:
        found: Runs finished before.
        done: Runs finished now.
        failed: Reasons by run.
    """

    found: list[str] = field(default_factory=list)
    done: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)


def record(plan: Plan, folder: Path, *, command: Sequence[str]) -> Union:
    """Write the plan, united with an earlier one, into the sweep's folder, and return it.

    Raises:
        InputError: If the folder holds finished runs of other axes, or something else than a sweep.
        BusyError: If another process keeps writing the plan.
    """
    patience = SECONDS_OF_PATIENCE
    while True:
        try:
            with hold(folder):
                union = unite(plan, folder)
                if not union.is_written:
                    write_entries(folder, union.entries, command=command)
            return union
        except BusyError:
            if patience == 0:
                raise
            patience -= 1
            time.sleep(1.0)


def unfinished(plan: Plan, folder: Path) -> list[str]:
    """Return the unfinished runs of a plan.

    Raises:
        InputError: If the folder of a run holds another configuration.
    """
    return [run for run, experiment in plan.experiments.items() if not is_finished(experiment, folder / run)]


def sweep(plan: Plan, folder: Path, pool: Pool, watch: Watch) -> Tally:
    """Do the unfinished runs, and return how they ended; see `work`. A lost run resumes from its checkpoint.

    Args:
        plan: The runs.
        folder: Folder of the sweep, with a folder per run.
        pool: Does the runs.
        watch: Receives a callback when a run begins or ends.
    """
    blocks = {run: RunBlock(plan.experiments[run], folder.resolve()) for run in unfinished(plan, folder)}
    tally = Tally(found=[run for run in plan.experiments if run not in blocks])
    for run, outcome in work(blocks, pool, on_begin=watch.on_begin):
        if outcome.state == State.DONE:
            (blocks[run].folder / FAILED).unlink(missing_ok=True)  # with an object store, the block does not see it
            tally.done.append(run)
        else:
            tally.failed[run] = outcome.problem
        watch.on_end(run, outcome)
    return tally
