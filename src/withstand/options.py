"""Parser and execution options that commands share."""

import re
import textwrap
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from jsonargparse import ArgumentParser

from withstand.console import Console
from withstand.errors import InputError
from withstand.families import friendly
from withstand.parser import parse

if TYPE_CHECKING:
    from withstand.engine import Engine
    from withstand.experiment import Experiment

CHOICE = re.compile(
    r"\(type:\s+(?:<class\s+'\w+'>|\w+\s+\|\s+null),\s+default:((?:(?!\(type:).)*?)known\s+subclasses:([^)]*)\)",
    re.DOTALL,
)

INNER = r"(?:[^\[\]]|\[[^\[\]]*\])+"  # of a type, with at most one level of brackets within
TYPES = {
    r"Annotated\[(\w+),\s+([^\[\]]+)\]": r"\1 \2",
    rf"Annotated\[(tuple\[{INNER}\]),\s+[^\[\]]+\]": r"\1",
    rf"Optional\[({INNER})\]": r"\1 | null",
}


class Parser(ArgumentParser):
    """A jsonargparse parser whose help shows options with dashes and short class names."""

    def format_help(self, *arguments: Any, **options: Any) -> str:
        """Show dashes and limits in words, omit `training`, and shorten class names."""
        text = super().format_help(*arguments, **options)
        text = re.sub(r"(?m)^  --training CONFIG.*\n", "", text)
        text = re.sub(CHOICE, _shorten, text)
        for pattern, words in TYPES.items():
            text = re.sub(pattern, words, text)
        return re.sub(r"--[\w.]+", lambda found: "--" + friendly(found.group()[2:]), text)


def _shorten(found: re.Match[str]) -> str:
    default = re.search(r"'class_path':\s+'(?:\w+\.)*(\w+)'", found.group(1))
    names = ", ".join(each.strip().rsplit(".", 1)[-1] for each in found.group(2).split(","))
    text = f"({default.group(1) + ' by default; ' if default else ''}one of {names})"
    return "\n" + textwrap.indent(textwrap.fill(text, 55), " " * 24)


def make_parser(command: str, description: str, *, positional: str = "") -> ArgumentParser:
    """Return a parser that rejects abbreviations and raises instead of exiting."""
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
    group = parser.add_argument_group("execution (does not affect results)")
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


def start(options: Any, *, batch_size: int | None = None) -> "tuple[Engine, Console, Path]":
    """Return the engine, the console and the folder of all runs."""
    from withstand.engine import Engine

    if Path(options.output).exists() and not Path(options.output).is_dir():
        raise InputError(f"output: expected a folder, found a file at {options.output}.")
    engine = Engine.start(device=options.device, num_workers=options.workers, batch_size=batch_size)
    return engine, Console(engine=engine, quiet=options.quiet), Path(options.output)


def experiment_parser(command: str = "train", description: str = "") -> ArgumentParser:
    """Return a parser with the fields of an experiment and `--config`."""
    from withstand.experiment import Experiment

    parser = make_parser(command, description)
    parser.add_argument("--config", action="config", help="YAML file, or the name of a recipe")
    parser.add_class_arguments(Experiment, None)
    return parser


def read_experiment(words: list[str]) -> "Experiment":
    """Return the experiment that options describe, `--config FILE` among them."""
    from withstand.experiment import Experiment

    found = parse(experiment_parser(), words, training=True)
    return Experiment(**{each.name: getattr(found, each.name) for each in fields(Experiment)})
