"""Every option of every command, as its own parser lists it, with odd values."""

import importlib
import os
import random
import shutil
from collections.abc import Callable
from dataclasses import fields
from functools import cache
from pathlib import Path
from typing import Any

import withstand
from fuzzing.case import Case, Door
from fuzzing.fixtures import TRAIN
from fuzzing.mutations import DEPTH
from withstand.configuration import discover

VALUES = (
    "",
    " ",
    "-1",
    "0",
    "1",
    "0.5",
    "1e400",
    "-1e-400",
    "nan",
    "inf",
    "-inf",
    "9" * 23,
    "9" * 5000,
    "99999999999999",
    "0x10",
    "1_000",
    "٣",
    "null",
    "true",
    "[]",
    "{}",
    "[1,2",
    "[null]",
    "[1, a, {b: 2}]",
    "{a: {b: {c: 1}}}",
    "{1: 2}",
    "Gaussian",
    "gaussian",
    "Accuracy",
    "MLP",
    "{class_path: Gaussian}",
    "{class_path: Gaussian, init_args: {std: null}}",
    "{class_path: Gaussian, init_args: null}",
    "{class_path: Gaussian, init_args: [1]}",
    "{class_path: null}",
    "{class_path: os.system, init_args: {command: touch executed}}",
    "{class_path: withstand.cli.main}",
    "os.system",
    "!!python/object/apply:os.system ['touch executed']",
    "&a [*a]",
    "a: &a [*a]",
    "[" * DEPTH,
    "[" * DEPTH + "]" * DEPTH,
    "- " * DEPTH,
    "{a: " * DEPTH,
    "\udcff",
    "a\nb",
    "a\0b",
    "`touch executed`",
    "$(touch executed)",
    "'\"",
    "../x",
    "folder",
    "fifo",
    "loop",
    "dangling",
    "empty",
    "text.yaml",
    "/dev/null",
    "/proc/self/mem",
    "empty/below",
    "~",
    "~nobody-of-this-name/x",
    "x" * 5000,
    "x" * 100_000,
    "🍅",
    "=1+1",
    "<script>",
    "1-5",
    "5-1",
    "a=b",
    "a=b,c=d",
    "--",
    "-x",
    "clean",
    "fog/9",
    "fog/-1",
    "worst-case",
    "../../outside/kept",
    "2026-01-01",
    "1:30",
    "on",
    "%s%n{0}",
    "cuda:99",
    "cuda:-1",
    "meta",
    "mps",
)
# What opens a browser, other machines, other files of options, or a compiler.
LEFT_OUT = ("--compile", "--open", "--address", "--slurm", "--plugin", "--config", "--workers", "--help", "-h")
WRITES = ("output", "samples", "figures", "keep_points", "preview", "track")
EFFORT = ("99999999999999", "9" * 23, "9" * 5000)
BASES: dict[str, tuple[int, tuple[str, ...], tuple[str, ...]]] = {
    "train": (16, ("--data", "digits", *TRAIN), ()),
    "evaluate": (16, ("digits-run", "--on", "clean"), ("digits-run",)),
    "corrupt": (
        8,
        ("images/val", "made", "--corruptions", "fog", "--size", "8", "--frost", "procedural", "-j", "0"),
        ("images",),
    ),
    "sweep": (8, ("sweep.yaml", "--dry-run"), ("sweep.yaml",)),
    "report": (4, ("runs", "--quiet", "--output", "new"), ("runs",)),
    "list": (2, ("models",), ()),
    "quickstart": (2, (), ()),
}
FAMILIES = {"data": withstand.Dataset, "model": withstand.Model, "objective": withstand.Objective}


class _Found(Exception):
    """Holds the parser of a command."""


@cache
def options_of(command: str) -> tuple[str, ...]:
    """Return the options of a command's parser, including the fields of every class."""
    module: Any = importlib.import_module(f"withstand.commands.{command}")

    def caught(parser: Any, *_: Any, **__: Any) -> Any:
        raise _Found(parser)

    before, module.parse = module.parse, caught
    try:
        module.main([])
    except _Found as found:
        parser: Any = found.args[0]
    finally:
        module.parse = before
    options = {each for action in parser._actions for each in action.option_strings}
    if command in ("train", "evaluate"):
        known = {key: discover(family) for key, family in FAMILIES.items() if f"--{key}" in options}
        known["training"] = [withstand.Training]
        options |= {f"--{key}.{each.name}" for key, own in known.items() for cls in own for each in fields(cls)}
    return tuple(
        sorted(each for each in options if each.partition("=")[0] not in LEFT_OUT and not each.endswith(".help"))
    )


def _oddities(place: Path) -> None:
    (place / "folder").mkdir()
    os.mkfifo(place / "fifo")
    (place / "loop").symlink_to("loop")
    (place / "dangling").symlink_to("nowhere")
    (place / "empty").write_bytes(b"")
    (place / "text.yaml").write_text("a: [1, 2")


def door_of(command: str) -> Door:
    """Return the door of a command's options."""
    _, base, names = BASES[command]

    def door(rng: random.Random, place: Path, fixtures: Path) -> Case:
        _oddities(place)
        for name in names:
            copy: Callable[..., Any] = shutil.copytree if (fixtures / name).is_dir() else shutil.copyfile
            copy(fixtures / name, place / name)
        words, given, is_long = list(base), [], False
        for _ in range(rng.choice((1, 1, 1, 2))):
            option, value = rng.choice(options_of(command)), rng.choice(VALUES)
            if option.lstrip("-").replace("-", "_") in WRITES and value in ("../x", "~", "../../outside/kept"):
                value = "folder"
            is_long |= value in EFFORT
            given += rng.choice(([f"{option}={value}"], [f"{option}={value}"], [option, value], [option]))
        if rng.random() < 0.1:
            words = [rng.choice(VALUES) if rng.random() < 0.3 else each for each in words]
            words = ["folder" if each in ("../x", "../../outside/kept", "~", "") else each for each in words]
        if command == "train" and rng.random() < 0.6:
            words.append("--print_config")
        if rng.random() < 0.1:
            rng.shuffle(words)
        words = [each.replace("\0", "") for each in [command, *words, *given]]
        return Case(words=tuple(words), damage=f"{given}"[:200], may_be_long=is_long or command == "quickstart")

    return door


OPTIONS: dict[str, tuple[int, Door]] = {command: (each[0], door_of(command)) for command, each in BASES.items()}
