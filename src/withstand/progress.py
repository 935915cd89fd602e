"""Progress bars for training and measuring, on a terminal."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn


@contextmanager
def counting(total: int, what: str) -> Iterator[Callable[[int], None]]:
    """Yield a callback for the number of samples done; the bar is removed at the end."""
    bar = _bar(transient=True)
    task, begun, first = bar.add_task(what, total=total, speed=""), time.monotonic(), None

    def tell(done: int) -> None:
        nonlocal first
        first = done if first is None else first
        rate = (done - first) / max(time.monotonic() - begun, 1e-9)
        bar.update(task, completed=done, speed=f"{rate:,.1f} samples/s" if rate else "")

    with bar:
        yield tell


class ProgressBar:
    """Shows epochs, samples per second, loss and time left."""

    def __init__(self, epochs: int) -> None:
        """Prepare the bar."""
        self.epochs, self.rows, self.shown = epochs, 0, 0.0
        self.validation = ""
        self.bar = _bar(transient=False)
        self.task = self.bar.add_task("epoch", total=None, speed="")
        self.begun = time.monotonic()

    def __enter__(self) -> "ProgressBar":
        """Show the bar."""
        self.bar.start()
        return self

    def __exit__(self, *problem: object) -> None:
        """Leave the last state of the bar on the terminal."""
        self.bar.stop()

    def on_step(self, epoch: int, step: int, steps_per_epoch: int, loss: float, rows: int) -> None:
        """Update the bar, five times a second at most."""
        self.rows += rows
        now = time.monotonic()
        if now - self.shown < 0.2:
            return
        self.shown = now
        self.bar.update(
            self.task,
            description=f"epoch {epoch + 1}/{self.epochs}",
            total=self.epochs * steps_per_epoch,
            completed=epoch * steps_per_epoch + step,
            speed=f"{self.rows / (now - self.begun):,.0f} samples/s  loss {loss:.3f}{self.validation}",
        )

    def on_epoch(self, entry: dict[str, float]) -> None:
        """Show the validation accuracy from now on."""
        if "validation" in entry:
            self.validation = f"  validation {100 * entry['validation']:.1f} %"
        if entry["epoch"] == self.epochs:
            self.bar.update(self.task, completed=self.bar.tasks[0].total)


def _bar(*, transient: bool) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TextColumn("{task.fields[speed]}"),
        TimeRemainingColumn(compact=True),
        console=Console(stderr=True),
        transient=transient,
    )
