"""Progress of a sweep: a live table on a terminal, a line per run elsewhere."""

import sys
import time
from collections.abc import Collection
from typing import Any

from rich.console import Console as RichConsole
from rich.live import Live
from rich.table import Table as RichTable

from withstand.console import Console
from withstand.pools.block import Outcome, State
from withstand.pools.forecast import duration
from withstand.sweeps.plan import Plan

LINES_AROUND = 5  # header, rest, total, caption, cursor


class SweepWatch:
    """Shows progress; receives a callback when a run begins or ends."""

    def __init__(self, plan: Plan, console: Console, *, missing: Collection[str]) -> None:
        """Count the missing runs.

        Args:
            plan: Plan of the sweep.
            console: For output without a terminal.
            missing: Unfinished runs.
        """
        self.plan, self.console, self.total = plan, console, len(missing)
        self.finished = set(plan.experiments) - set(missing)
        self.combinations = runs_of(plan)
        self.running: set[str] = set()
        self.ended = 0
        self.failed: set[str] = set()
        self.begun = time.monotonic()
        self.live: Live | None = None

    def __enter__(self) -> "SweepWatch":
        """Show the table, on a terminal."""
        if self.total and sys.stderr.isatty() and not self.console.silent:
            terminal = RichConsole(stderr=True)  # Live calls back before its constructor returns
            self.live = Live(
                console=terminal, get_renderable=lambda: self.fitting_table(terminal.height), refresh_per_second=2
            )
            self.live.start()
        elif self.total:
            self.console.say(f"{self.total} of {len(self.plan.experiments)} runs are missing.")
        return self

    def __exit__(self, *problem: object) -> None:
        """Leave the last table on the terminal."""
        if self.live is not None:
            self.live.stop()

    def on_begin(self, run: str) -> None:
        """Mark the run as running."""
        self.running.add(run)

    def on_end(self, run: str, outcome: Outcome) -> None:
        """Count the run as finished or failed."""
        self.running.discard(run)
        (self.failed if outcome.state == State.FAILED else self.finished).add(run)
        self.ended += 1
        if outcome.state == State.FAILED:
            self.say(f"{run} failed: {outcome.problem}")
        elif self.live is None:
            self.console.say(f"{run}: done, {self.ended} of {self.total}; {self.left()}")

    def say(self, sentence: str) -> None:
        """Print a sentence above the table."""
        if self.live is not None:
            self.live.console.print(sentence, highlight=False, markup=False)
        else:
            self.console.say(sentence)

    def left(self) -> str:
        """Return the estimated time left."""
        taken = time.monotonic() - self.begun
        if not self.ended or self.ended == self.total:
            return f"{duration(taken)} so far"
        return f"about {duration(taken / self.ended * (self.total - self.ended))} left"

    def fitting_table(self, height: int) -> RichTable:
        """Return the current table, limited to the height of the terminal."""
        return self.table(most=max(1, height - LINES_AROUND))

    def table(self, *, most: int | None = None) -> RichTable:
        """Return the current table.

        Args:
            most: Maximum number of combinations: running ones first, then waiting, then finished.
        """
        shown = RichTable(box=None, pad_edge=False, caption=f"{self.plan.name}: {self.left()}", caption_justify="left")
        for axis in self.plan.entries[0].labels:
            shown.add_column(axis, overflow="fold")
        for head in ("done", "running", "failed", "of"):
            shown.add_column(head, justify="right", no_wrap=True)
        chosen = sorted(self.combinations, key=self.order)[:most]
        for labels, runs in self.combinations.items():
            if labels in chosen:
                shown.add_row(*labels, *self.counts(runs))
        blanks = [""] * (len(self.plan.entries[0].labels) - 1)
        if len(chosen) < len(self.combinations):
            shown.add_row(f"and {len(self.combinations) - len(chosen)} more", *blanks, style="dim")
        if len(self.combinations) > 1:
            shown.add_row("all", *blanks, *self.counts(self.plan.experiments), style="bold")
        return shown

    def order(self, labels: tuple[str, ...]) -> int:
        """Return the sort key: 0 for running combinations, 1 for waiting, 2 for finished."""
        runs = set(self.combinations[labels])
        return 0 if runs & self.running else 2 if runs <= self.finished | self.failed else 1

    def counts(self, runs: Collection[str]) -> list[str]:
        """Return how many of the runs are done, running and failed, and their total."""
        groups = (self.finished, self.running, self.failed, self.plan.experiments)
        return [str(sum(run in group for run in set(runs))) for group in groups]


def runs_of(plan: Plan) -> dict[tuple[str, ...], list[str]]:
    """Return the runs of every combination of values."""
    found: dict[tuple[str, ...], list[str]] = {}
    for each in plan.entries:
        found.setdefault(tuple(text(value) for value in each.labels.values()), []).append(each.run)
    return found


def text(value: Any) -> str:
    """Return the text of an axis value."""
    return f"{value:g}" if isinstance(value, float) else str(value)
