"""Parser and execution options that commands share."""

import argparse
import re
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from jsonargparse import ArgumentParser, DefaultHelpFormatter

from withstand.console import Console
from withstand.errors import InputError
from withstand.families import friendly
from withstand.limits import Workers
from withstand.parser import parse
from withstand.reading.addresses import Address
from withstand.reading.places import check_output, place_of

if TYPE_CHECKING:
    from withstand.engine import Engine
    from withstand.experiment import Experiment

LISTS = {
    "data": "datasets",
    "model": "models",
    "objective": "objectives",
    "perturbation": "perturbations",
    "parts": "perturbations",
    "evaluations": "evaluations",
}


class Formatter(DefaultHelpFormatter):
    """Shows options with dashes, and short defaults instead of types."""

    def add_argument(self, action: argparse.Action) -> None:
        """Add an option, without those that jsonargparse adds for classes and groups."""
        if not action.dest.endswith(".help") and action.dest != "training":
            super().add_argument(action)

    def _get_help_string(self, action: argparse.Action) -> str:
        text = action.help or ""
        if text.endswith("."):  # from a docstring
            text = text[0].lower() + text[1:-1]
        classes = getattr(action, "extra_help", str)().removeprefix(", known subclasses: ").split(", ")
        default = action.default
        if classes != [""]:
            key = action.dest.rpartition(".")[2]
            where = f"see `withstand list {LISTS[key]}`" if key in LISTS else ", ".join(map(_name, classes))
            text = f"{text}; {where}"
            each = default if isinstance(default, tuple) else [default] if default else []
            default = [type(one).__name__ if is_dataclass(one) else _name(one["class_path"]) for one in each]
        if default is None or default is False or default in ("", [], argparse.SUPPRESS):
            return text
        shown = " ".join(map(str, default)) if isinstance(default, list) else str(default).lower()
        return f"{text} (default: {shown})"

    def _format_action_invocation(self, action: argparse.Action) -> str:
        return re.sub(r"--[\w.]+", lambda found: friendly(found.group()), super()._format_action_invocation(action))

    def _get_default_metavar_for_optional(self, action: argparse.Action) -> str:
        return re.split(r"[._]", action.dest)[-1].upper()


def _name(path: str) -> str:
    return path.rpartition(".")[2]


def make_parser(command: str, description: str, *, positional: str = "") -> ArgumentParser:
    """Return a parser that rejects abbreviations and raises instead of exiting."""
    parser = ArgumentParser(
        prog=f"withstand {command}",
        usage=" ".join(filter(None, ["withstand", command, positional, "[OPTIONS]"])),
        description=description,
        formatter_class=Formatter,
        exit_on_error=False,
        allow_abbrev=False,
        print_config=None,
    )
    parser.add_argument("--plugin", type=str, nargs="+", help="Python files or modules whose classes options may name")
    return parser


def add_options(
    parser: ArgumentParser,
    *,
    workers: str = "processes that decode images (-j); 0: the main process",
    compiles: bool = False,
) -> None:
    """Add the options of every command that works on data; `--compile` for those that call models in this process."""
    group = parser.add_argument_group("execution (not part of the configuration)")
    group.add_argument("--output", type=str, default="runs", help="folder for the runs")
    group.add_argument(
        "--device",
        type=str,
        default="auto",
        help="auto, cpu, cuda, cuda:1 or mps; a GPU draws different random numbers",
    )
    group.add_argument("--workers", type=Workers, default=0, help=workers)
    if compiles:
        group.add_argument("--compile", action="store_true", help="compile models (torch.compile); changes rounding")
    group.add_argument("--quiet", action="store_true", help="print only the result")
    group.add_argument("--format", type=Literal["table", "json"], default="table", help="format of the result")


def start(options: Any, *, batch_size: int | None = None) -> "tuple[Engine, Console, Path]":
    """Return the engine, the console and the folder of all runs."""
    from withstand.engine import Engine

    root = place_of(options.output)
    if isinstance(root, Address):
        raise InputError(f"output: expected a local folder, got {options.output}; sweeps write to object stores, too.")
    check_output("output", root)
    given = {"num_workers": options.workers, "batch_size": batch_size, "compile": getattr(options, "compile", False)}
    engine = Engine.start(device=options.device, **given)
    return engine, Console(engine=engine, quiet=options.quiet), root


def experiment_parser(command: str = "train", description: str = "") -> ArgumentParser:
    """Return a parser with the fields of an experiment and `--config`."""
    from withstand.experiment import Experiment

    parser = make_parser(command, description)
    parser.add_argument("--config", action="config", help="YAML file or recipe; see `withstand list recipes`")
    parser.add_class_arguments(Experiment, None)
    return parser


def read_experiment(words: list[str]) -> "Experiment":
    """Return the experiment that options describe, `--config FILE` among them."""
    from withstand.experiment import Experiment

    found = parse(experiment_parser(), words, training=True)
    return Experiment(**{each.name: getattr(found, each.name) for each in fields(Experiment)})
