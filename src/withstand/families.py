"""Names that options accept: classes of families, and recipes."""

import importlib
import re
from dataclasses import fields
from functools import cache
from importlib.resources import files
from typing import Any

from withstand.configuration import discover

# Modules of the families, imported only for commands that have such options.
FAMILIES = {
    "data": "data.base.Dataset",
    "model": "models.base.Model",
    "objective": "objectives.base.Objective",
    "fold": "objectives.folds.base.Fold",
    "perturbation": "perturbations.base.Perturbation",
    "parts": "perturbations.base.Perturbation",
    "perturbations": "perturbations.base.Perturbation",
    "evaluations": "evaluation.base.Evaluation",
    "optimizer": "training.optimizers.Optimizer",
    "schedule": "training.schedules.Schedule",
}


@cache
def family_of(name: str) -> type:
    """Return the abstract class of an option."""
    module, _, own = FAMILIES[name].rpartition(".")
    return getattr(importlib.import_module(f"withstand.{module}"), own)


@cache
def every_family() -> tuple[type, ...]:
    """Import and return all families."""
    found = tuple(dict.fromkeys(family_of(name) for name in FAMILIES))
    for family in found:
        discover(family)
    return found


@cache
def training_fields() -> tuple[str, ...]:
    """Return the fields of `Training`."""
    settings = importlib.import_module("withstand.training.settings")
    return tuple(each.name for each in fields(settings.Training))


def recipes(folder: str = "") -> dict[str, Any]:
    """Return the bundled YAML files by name: recipes of runs, or of `sweeps`."""
    found = sorted((files("withstand") / "recipes" / folder).iterdir(), key=lambda each: each.name)
    return {each.name.removesuffix(".yaml"): each for each in found if each.name.endswith(".yaml")}


def command_name(cls: type) -> str:
    """Return the name of a data set or model on the command line: in lower case, or its own `command`.

    Example:
        >>> from withstand.data.images.digits import Digits
        >>> command_name(Digits)
        'digits'
    """
    return getattr(cls, "command", None) or re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", cls.__name__).lower()


def spellings(family: type) -> dict[str, str]:
    """Return the class names of a family by their accepted spellings, without dashes and capitals."""
    return {
        loose(spelled): each.__name__ for each in discover(family) for spelled in (command_name(each), each.__name__)
    }


def loose(name: str) -> str:
    """Return a name in lower case, without dashes and underscores."""
    return name.lower().replace("-", "").replace("_", "")


def friendly(option: str) -> str:
    """Return an option as the help shows it: with dashes, without the prefix `training`."""
    option = option.replace("model.arguments", "model.init_args")
    return option.replace("training.", "").replace("_", "-")


def is_number(token: str) -> bool:
    """Return whether a word is a negative number rather than an option."""
    return re.fullmatch(r"-\d*\.?\d+([eE][+-]?\d+)?", token) is not None
