"""Console: progress on stderr, the result on stdout."""

import json
import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from withstand.engine import Engine


class Once:
    """Lets each message through once, since many runs read the same data."""

    def __init__(self) -> None:
        self.seen: set[str] = set()

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether a message is new."""
        text = record.getMessage()
        return not (text in self.seen or self.seen.add(text))


class Console:
    """Prints progress on stderr and the result on stdout, in the first process only."""

    def __init__(self, *, engine: "Engine | None" = None, quiet: bool) -> None:
        """Configure output; without an engine there is one process."""
        self.is_first = engine is None or engine.is_first
        self.silent = quiet or not self.is_first
        self.names: dict[str, str] = {}  # of folders that stand for object stores: what is shown instead
        logger = logging.getLogger("withstand")
        logger.setLevel(logging.WARNING if self.silent else logging.INFO)
        handler = logging.StreamHandler(sys.stderr) if self.is_first else logging.NullHandler()
        handler.addFilter(Once())
        logger.handlers = [handler]

    def say(self, sentence: str) -> None:
        """Print a sentence on stderr, unless quiet or empty."""
        if sentence and not self.silent:
            sys.stderr.write(self._shown(sentence) + "\n")

    def print(self, text: str) -> None:
        """Print the result."""
        if self.is_first:
            sys.stdout.write(self._shown(text).rstrip("\n") + "\n")
            sys.stdout.flush()

    def _shown(self, text: str) -> str:
        for folder, name in self.names.items():
            text = text.replace(folder, name)
        return text

    def print_json(self, content: Any) -> None:
        """Print the result as JSON."""
        self.print(json.dumps(content))

    @contextmanager
    def progress(self, epochs: int) -> Iterator[Any]:
        """Yield a watch: a progress bar on a terminal, else a line per epoch."""
        if self.silent or not epochs or not sys.stderr.isatty():
            yield EpochLines(self.say, epochs)
            return
        from withstand.progress import ProgressBar

        with ProgressBar(epochs) as bar:
            yield bar

    @contextmanager
    def counting(self, total: int, what: str = "samples") -> Iterator[Callable[[int], None]]:
        """Yield a callback for the number of samples done; it draws a progress bar on a terminal."""
        if self.silent or not sys.stderr.isatty():
            yield lambda _: None
            return
        from withstand.progress import counting

        with counting(total, what) as tell:
            yield tell


class EpochLines:
    """Prints a line for about ten epochs of a training."""

    def __init__(self, say: Callable[[str], None], epochs: int) -> None:
        """Choose the epochs to print."""
        self.say, self.epochs, self.every = say, epochs, max(1, epochs // 10)

    def on_step(self, epoch: int, step: int, steps_per_epoch: int, loss: float, rows: int) -> None:
        """Print nothing."""

    def on_epoch(self, entry: dict[str, float]) -> None:
        """Print the epoch's loss and validation accuracy."""
        epoch = int(entry["epoch"])
        if epoch % self.every == 0 or epoch == self.epochs:
            validation = f", validation {100 * entry['validation']:.2f} %" if "validation" in entry else ""
            self.say(f"  epoch {epoch}/{self.epochs}: loss {entry['loss']:.4f}{validation}")
