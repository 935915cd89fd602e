"""What the commands share: options that decide no number, progress, and where results are printed."""

import json
import logging
import re
import sys
import textwrap
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from jsonargparse import ArgumentParser

from withstand.errors import InputError
from withstand.parser import friendly

if TYPE_CHECKING:
    from withstand.engine import Engine

CHOICE = re.compile(
    r"\(type:\s+(?:<class\s+'\w+'>|\w+\s+\|\s+null),\s+default:(.*?)known\s+subclasses:([^)]*)\)", re.DOTALL
)


class Parser(ArgumentParser):
    """jsonargparse's parser, whose help spells options as people type them."""

    def format_help(self, *arguments: Any, **options: Any) -> str:
        """Write dashes, leave `training` out, and name classes shortly."""
        text = super().format_help(*arguments, **options)
        text = re.sub(r"(?m)^  --training CONFIG.*\n", "", text)
        text = re.sub(CHOICE, _shorten, text)
        return re.sub(r"--[\w.]+", lambda found: "--" + friendly(found.group()[2:]), text)


def _shorten(found: re.Match[str]) -> str:
    default = re.search(r"'class_path':\s+'(?:\w+\.)*(\w+)'", found.group(1))
    names = ", ".join(each.strip().rsplit(".", 1)[-1] for each in found.group(2).split(","))
    text = f"({default.group(1) + ' by default; ' if default else ''}one of {names})"
    return "\n" + textwrap.indent(textwrap.fill(text, 55), " " * 24)


def make_parser(command: str, description: str, *, positional: str = "") -> ArgumentParser:
    """Return a parser that refuses abbreviations and raises instead of leaving."""
    return Parser(
        prog=f"withstand {command}",
        usage=f"withstand {command} [OPTIONS]" if not positional else f"withstand {command} {positional} [OPTIONS]",
        description=description,
        exit_on_error=False,
        allow_abbrev=False,
        print_config=None,
    )


def add_options(parser: ArgumentParser) -> None:
    """Add the options of every command that works on data."""
    group = parser.add_argument_group("where, how fast and how loud (nothing here changes a number)")
    group.add_argument("--output", type=str, default="runs", help="folder of all runs")
    group.add_argument("--device", type=str, default="auto", help="auto, cpu, cuda, cuda:1 or mps")
    group.add_argument("--workers", type=int, default=0, help="processes that decode image files (-j)")
    group.add_argument("--quiet", action="store_true", help="print the result only")
    group.add_argument(
        "--format",
        type=Literal["table", "json"],
        default="table",
        help="the result as a table, or as JSON on stdout with everything else on stderr",
    )


class Console:
    """Speaks on stderr while work goes on, and prints the result on stdout; silent in all but one process."""

    def __init__(self, *, engine: "Engine | None" = None, quiet: bool) -> None:
        """Say whether there is anybody to speak to; without an engine there is one process."""
        self.is_first = engine is None or engine.is_first
        self.silent = quiet or not self.is_first
        logger = logging.getLogger("withstand")
        logger.handlers = [logging.StreamHandler(sys.stderr)] if self.is_first else [logging.NullHandler()]

    def say(self, sentence: str) -> None:
        """Say what is going on."""
        if not self.silent:
            sys.stderr.write(sentence + "\n")

    def print(self, text: str) -> None:
        """Print the result."""
        if self.is_first:
            sys.stdout.write(text.rstrip("\n") + "\n")
            sys.stdout.flush()

    def print_json(self, content: Any) -> None:
        """Print the result for a program."""
        self.print(json.dumps(content))

    @contextmanager
    def progress(self, epochs: int) -> Iterator[Any]:
        """Yield a watch that shows a progress bar with speed and time left, on a terminal only."""
        if self.silent or not epochs or not sys.stderr.isatty():
            yield EpochLines(self, epochs)
            return
        from withstand.commands.progress import ProgressBar

        with ProgressBar(epochs) as bar:
            yield bar

    @contextmanager
    def counting(self, total: int, what: str = "samples") -> Iterator[Callable[[int], None]]:
        """Yield a function that is told how many samples are done: a bar with speed and time left, on a terminal."""
        if self.silent or not sys.stderr.isatty():
            yield lambda _: None
            return
        from withstand.commands.progress import counting

        with counting(total, what) as tell:
            yield tell


class EpochLines:
    """Says one line per epoch, at most about ten in all."""

    def __init__(self, console: Console, epochs: int) -> None:
        """Keep who speaks."""
        self.console, self.epochs, self.every = console, epochs, max(1, epochs // 10)

    def on_step(self, epoch: int, step: int, steps_per_epoch: int, loss: float, rows: int) -> None:
        """Say nothing."""

    def on_epoch(self, entry: dict[str, float]) -> None:
        """Say the epoch's loss and validation accuracy."""
        epoch = int(entry["epoch"])
        if epoch % self.every == 0 or epoch == self.epochs:
            validation = f", validation {100 * entry['validation']:.2f} %" if "validation" in entry else ""
            self.console.say(f"  epoch {epoch}/{self.epochs}: loss {entry['loss']:.4f}{validation}")


def start(options: Any, *, batch_size: int | None = None) -> "tuple[Engine, Console, Path]":
    """Return the engine, the console and the folder of all runs."""
    from withstand.engine import Engine

    if Path(options.output).exists() and not Path(options.output).is_dir():
        raise InputError(f"output: expected a folder, found a file at {options.output}.")
    engine = Engine.start(device=options.device, num_workers=options.workers, batch_size=batch_size)
    return engine, Console(engine=engine, quiet=options.quiet), Path(options.output)
