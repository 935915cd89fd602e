"""Execution of the missing runs of a sweep."""

import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from withstand.errors import BusyError, stop_if_asked
from withstand.experiment import is_finished
from withstand.files import hold
from withstand.study.sweep import write_entries
from withstand.sweeps.attempt import Outcome, State, failed
from withstand.sweeps.earlier import Union, unite
from withstand.sweeps.plan import Plan
from withstand.sweeps.pool import Pool

MOST_LOSSES = 3
SECONDS_BETWEEN_LOOKS = 1.0
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
    """Do the unfinished runs, and return how they ended.

    Runs in work by other processes are waited for. A run whose process or machine is lost resumes from its checkpoint,
    at most three times. Failed runs are not repeated; the others continue.

    Args:
        plan: The runs.
        folder: Folder of the sweep, with a folder per run.
        pool: Does the runs.
        watch: Receives a callback when a run begins or ends.
    """
    waiting = deque(unfinished(plan, folder))
    losses = dict.fromkeys(waiting, 0)
    tally = Tally(found=[run for run in plan.experiments if run not in losses])
    at_work: set[str] = set()
    elsewhere: dict[str, float] = {}
    while waiting or at_work or elsewhere:
        stop_if_asked()
        now = time.monotonic()
        for run in [run for run, due in elsewhere.items() if due <= now]:
            del elsewhere[run]
            waiting.append(run)
        while waiting and pool.free:
            run = waiting.popleft()
            at_work.add(run)
            watch.on_begin(run)
            pool.begin(run, plan.experiments[run])
        for run, outcome in pool.wait(SECONDS_BETWEEN_LOOKS if at_work else SECONDS_BETWEEN_LOOKS / 4):
            at_work.discard(run)
            if outcome.state == State.LOST:
                losses[run] += 1
                if losses[run] < MOST_LOSSES:
                    waiting.append(run)
                    continue
                outcome = failed(folder / run, f"lost {MOST_LOSSES} times; {outcome.problem}", "")
            if outcome.state == State.BUSY:
                elsewhere[run] = time.monotonic() + SECONDS_BETWEEN_LOOKS
                continue
            if outcome.state == State.DONE:
                tally.done.append(run)
            else:
                tally.failed[run] = outcome.problem
            watch.on_end(run, outcome)
    return tally
