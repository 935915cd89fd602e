"""The one door for flags and YAML: jsonargparse over the configuration dataclasses, with friendlier spelling."""

import importlib
import re
from argparse import ArgumentError
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from difflib import get_close_matches
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml
from jsonargparse import ArgumentParser, Namespace, set_parsing_settings

from withstand.configuration import discover
from withstand.errors import InputError, nearest

# A configuration may name our classes and nothing else: what it names is imported before it is checked.
set_parsing_settings(import_path_denylist=["*"], import_path_allowlist=["withstand"])

# Where the classes are that an option may name; they are imported for commands that have such options only.
FAMILIES = {
    "data": "data.base.Dataset",
    "model": "models.base.Model",
    "objective": "objectives.base.Objective",
    "perturbation": "perturbations.base.Perturbation",
    "parts": "perturbations.base.Perturbation",
    "perturbations": "perturbations.base.Perturbation",
    "evaluations": "evaluation.base.Evaluation",
    "optimizer": "training.optimizers.Optimizer",
    "schedule": "training.schedules.Schedule",
}
SHORT = {
    "-b": "--training.batch_size",
    "-j": "--workers",
    "--lr": "--training.optimizer.lr",
    "--optimizer": "--training.optimizer",
    "--schedule": "--training.schedule",
    "--root": "--data.root",
    "--on_bad_image": "--data.on_bad_image",
    "--pretrained": "--model.pretrained",
}


@cache
def family_of(name: str) -> type:
    """Return the abstract class of what an option of this name may be."""
    module, _, own = FAMILIES[name].rpartition(".")
    return getattr(importlib.import_module(f"withstand.{module}"), own)


@cache
def every_family() -> tuple[type, ...]:
    """Return all of them; their classes are known from then on."""
    found = tuple(dict.fromkeys(family_of(name) for name in FAMILIES))
    for family in found:
        discover(family)
    return found


@cache
def training_fields() -> tuple[str, ...]:
    """Return the names of the options of a training."""
    settings = importlib.import_module("withstand.training.settings")
    return tuple(each.name for each in fields(settings.Training))


def command_name(cls: type) -> str:
    """Return how a data set or model is spelled on the command line: its name in small letters, or its own `command`.

    Example:
        >>> from withstand.data.digits import Digits
        >>> command_name(Digits)
        'digits'
    """
    return getattr(cls, "command", None) or re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", cls.__name__).lower()


def spell(
    arguments: list[str],
    *,
    training: bool,
    flags: frozenset[str] = frozenset(),
    lists: frozenset[str] | None = None,
    classes: bool = True,
) -> list[str]:
    """Rewrite friendly spellings into the full option names, and put broad options before narrow ones.

    Dashes become underscores; options of `training` may come without that prefix; `--model resnet18` and `--data
    fashion-mnist` become class names; `--config` names a recipe where there is no such file. So the order in which
    options are typed does not matter.

    Args:
        arguments: As typed.
        training: Whether the command trains.
        flags: Options that take no value.
        lists: Options that take several values; None lets all of them. Others take one, and what follows is no value.
        classes: Whether options may name classes.

    Example:
        >>> spell(["--batch-size", "8", "--model", "small-cnn"], training=True)
        ['--model=SmallCNN', '--training.batch_size=8']
    """
    if classes:
        every_family()
    own = set(training_fields()) if training else set()
    plain, options, position = [], [], 0
    while position < len(arguments):
        token = arguments[position]
        position += 1
        if not token.startswith("-") or _is_number(token):
            plain.append(token)
            continue
        name, equals, value = token.partition("=")
        values = [value] if equals else []
        name = _option(name, own, training=training)
        most = 0 if equals or name in flags else len(arguments) if lists is None or name in lists else 1
        while len(values) < most and position < len(arguments) and _is_value(arguments[position]):
            word = arguments[position]
            values.append(".inf" if word in ("inf", "infinity") else word)
            position += 1
        if name == "--model.pretrained" and not values:
            values = ["true"]
        if name.startswith("-") and not name.startswith("--") and name != "-h":
            raise InputError(f"option {name} is not known; --help shows all.")
        if not values and name not in flags and not name.endswith(("help", "-h")):
            raise InputError(f"option {friendly(name)}: expected a value, got none.")
        options += _rewrite(name, values)
    options.sort(key=lambda each: (not each[0].startswith("--config"), each[0].count(".")))
    written = []
    for name, values in options:
        written += [f"{name}={values[0]}"] if len(values) == 1 else [name, *values]
    return plain + written


def parse(parser: ArgumentParser, arguments: list[str], *, training: bool = False) -> Namespace:
    """Return the instantiated arguments.

    Raises:
        InputError: If an option or value is not known or out of range; one sentence.
    """
    flags, lists = (
        frozenset(o for action in parser._actions if action.nargs in counts for o in action.option_strings)
        for counts in ((0,), ("+", "*"))
    )
    named = {o.partition(".")[0].removeprefix("--") for action in parser._actions for o in action.option_strings}
    classes = training or not named.isdisjoint(FAMILIES)
    words = spell(arguments, training=training, flags=flags, lists=lists, classes=classes)
    return _instantiated(parser, lambda: parser.parse_args(words), words)


def _instantiated(parser: ArgumentParser, read: Callable[[], Namespace], words: Sequence[str] = ()) -> Namespace:
    try:
        return parser.instantiate(read())
    except InputError:
        raise
    except (ArgumentError, TypeError, ValueError, KeyError) as problem:
        cause: BaseException | None = problem
        while cause is not None:
            if isinstance(cause, InputError):
                raise cause from None
            cause = cause.__cause__ or cause.__context__
        raise InputError(_sentence(str(problem), parser, words)) from problem


def build(who: str, value: str | Mapping[str, Any], *keys: str) -> Any:
    """Return the object that a class by name, YAML or plain values describe.

    Args:
        who: Whose name an error begins with.
        value: The name of a class, or its `class_path` and `init_args`, as YAML or as a mapping.
        keys: Options whose families it may be of, such as `perturbation`.

    Raises:
        InputError: If there is no such class, or a field cannot have its value; one sentence.

    Example:
        >>> build("on", "{class_path: Gaussian, init_args: {std: 0.1}}", "perturbation")
        Gaussian(std=0.1)
    """
    if isinstance(value, str):
        try:
            value = yaml.safe_load(value)
        except yaml.YAMLError as problem:
            raise InputError(f"{who}: {value} is not valid YAML.") from problem
    content = {"class_path": value} if isinstance(value, str) else value
    name = content.get("class_path") if isinstance(content, Mapping) else None
    if not isinstance(content, Mapping) or not isinstance(name, str):
        raise InputError(f"{who}: expected the name of a class, or class_path and init_args, got {value!r}.")
    known = {each.__name__: key for key in keys for each in discover(family_of(key))}
    name = name.rsplit(".", 1)[-1]
    if name not in known:
        raise InputError(f"{who}: {name} is not known; {nearest(name, known)}")
    parser = ArgumentParser(exit_on_error=False)
    parser.add_argument(f"--{known[name]}", type=family_of(known[name]))
    given = {known[name]: {**content, "class_path": name}}
    return getattr(_instantiated(parser, lambda: parser.parse_object(given)), known[name])


def _option(name: str, own: set[str], *, training: bool) -> str:
    if name.startswith("--"):
        name = "--" + name[2:].replace("-", "_")
    if name in SHORT and (training or not SHORT[name].startswith(("--training", "--model"))):
        return SHORT[name]
    if name in ("-b", "-j"):
        return {"-b": "--batch_size", "-j": "--workers"}[name]
    return f"--training.{name[2:]}" if name[2:].split(".")[0] in own else name


def _rewrite(name: str, values: list[str]) -> list[tuple[str, list[str]]]:
    key = name.removesuffix(".help").rsplit(".", 1)[-1].removeprefix("--")
    if name == "--config" and values and not Path(values[0]).exists():
        recipes = files("withstand") / "recipes"
        recipe = recipes / f"{values[0]}.yaml"
        if not recipe.is_file():
            known = [each.name.removesuffix(".yaml") for each in recipes.iterdir() if each.name.endswith(".yaml")]
            raise InputError(f"config: expected a YAML file or a recipe, got {values[0]}; {nearest(values[0], known)}")
        values = [str(recipe)]
    if name == "--config" and values:
        _check_yaml(values[0])
        return [(name, values)]
    if key not in FAMILIES or len(values) != 1 or not re.fullmatch(r"[\w/.\-]+", values[0]):
        return [(name, values)]
    known = _spellings(family_of(key))
    if _loose(values[0]) in known:
        return [(name, [known[_loose(values[0])]])]
    if name == "--model" and not Path(values[0]).exists() and values[0].rsplit(".", 1)[-1] not in known.values():
        family = "Released" if values[0].startswith("game-of-noise/") else "Vision"
        return [(name, [family]), ("--model.name", values)]
    return [(name, values)]


def _check_yaml(path: str) -> None:
    try:
        content = yaml.safe_load(Path(path).read_text())
    except (OSError, UnicodeDecodeError) as problem:
        raise InputError(f"config: {path} cannot be read as text.") from problem
    except yaml.YAMLError as problem:
        mark = getattr(problem, "problem_mark", None)
        where = f" at line {mark.line + 1}" if mark else ""
        raise InputError(f"config: {path} is not valid YAML{where}.") from problem
    if not isinstance(content, dict):
        raise InputError(f"config: {path} must hold options by name, got {type(content).__name__}.")


def _spellings(family: type) -> dict[str, str]:
    """Return the class names of a family by what may be typed for them, without dashes and capitals."""
    return {
        _loose(spelled): each.__name__ for each in discover(family) for spelled in (command_name(each), each.__name__)
    }


def _loose(name: str) -> str:
    return name.lower().replace("-", "").replace("_", "")


def _is_number(token: str) -> bool:
    return re.fullmatch(r"-\d*\.?\d+([eE][+-]?\d+)?", token) is not None


def _is_value(token: str) -> bool:
    return not token.startswith("-") or _is_number(token)


def _sentence(message: str, parser: ArgumentParser, words: Sequence[str]) -> str:
    _, found, unknown = message.rpartition("unrecognized arguments: ")
    if found:
        # They are joined by spaces, which a path may have, too: the first of them is the longest word that fits.
        return _explain_unknown(
            max((word for word in words if unknown.startswith(word)), key=len, default=unknown), parser
        )
    return re.sub(r"(?<!\.)\.\.(?!\.)", ".", _explain(message, parser).replace("?.", "?"))


def _explain_unknown(word: str, parser: ArgumentParser) -> str:
    if not word.startswith("-") or _is_number(word):
        return f"{parser.prog.removeprefix('withstand ')}: unexpected argument {word}"
    wrong = word.partition("=")[0]
    known = [each for action in parser._actions for each in action.option_strings if each.startswith("--")]
    if any(each.startswith("--training.") for each in known):
        known += [f"--{each}" for each in training_fields()]
    close = get_close_matches(wrong, known, n=1)
    hint = f"did you mean {friendly(close[0])}?" if close else "--help shows all."
    return f"option {friendly(wrong)} is not known; {hint}"


def _explain(message: str, parser: ArgumentParser) -> str:
    lines = [line.strip() for line in message.splitlines() if line.strip()]
    keys = [found.group(1) for line in lines if (found := re.match(r'Parser key "([^"]+)"', line))]
    classes = [found.group(1) for line in lines if (found := re.search(r"given class_path '([^']+)'", line))]
    option, last = ".".join(keys), lines[-1]
    last = last.split('":', 1)[-1].strip() if last.startswith("Parser key") else last
    if found := re.search(r"Option '([^']+)' is not accepted", last):
        owner = classes[-1].rsplit(".", 1)[-1] if classes else ""
        cls = next(
            (each for family in every_family() for each in discover(family) if each.__name__ == owner),
            None,
        )
        if cls is None:
            hint = nearest(found.group(1), _top(parser))
            return f"{option or 'configuration'}: {found.group(1)} is not known here; {hint}"
        names = [each.name for each in fields(cls)]
        hint = nearest(found.group(1).split(".")[0], names) if names else "it has no fields"
        return f"{owner}: {found.group(1)} is not one of its fields; {hint}"
    key = keys[-1].rsplit(".", 1)[-1] if keys else ""
    family = family_of(key) if key in FAMILIES else None
    given = re.search(r"dot import path string: (\S+)|Expected .*class_path.*Got value: (\S+)", last)
    unknown = (given.group(1) or given.group(2)) if given else ""
    if not unknown and classes and re.search("No module named|denied|not allowed|not permitted", last):
        unknown = classes[-1]
    if family is not None and unknown:
        exact = _spellings(family)
        if _loose(unknown) in exact:
            return f"{option}: {unknown} is spelled {exact[_loose(unknown)]} in a YAML file."
        on_commands = key in ("data", "model")
        names = [command_name(each) if on_commands else each.__name__ for each in discover(family)]
        return f"{option}: {unknown} is not a known {family.__name__}; {nearest(unknown, names)}"
    if found := re.search(r"Group '([^']+)' does not accept option '([^']+)'", last):
        hint = nearest(found.group(2), list(training_fields()))
        return f"{found.group(1)}: {found.group(2)} is not one of its options; {hint}"
    if found := re.search(r"Given value: (.+)|Unable to load config \"(.+)\"", last):
        given = (found.group(1) or found.group(2)).removesuffix(".")
        return f"option --{friendly(option or keys[-1])}: cannot be {given}; --help shows what it takes."
    if found := re.search(r"Expected an? (.+)\. Got value: (.*)", last):
        return f"option --{friendly(option)}: expected {_readable(found.group(1))}, got {found.group(2)}."
    return f"{'option --' + friendly(option) + ': ' if option else ''}{last.removesuffix('.')}."


def friendly(option: str) -> str:
    """Return an option as the help spells it: dashes, and no `training` in front."""
    return option.replace("training.", "").replace("_", "-")


def _top(parser: ArgumentParser) -> list[str]:
    hidden = ("help", "config", "print_")
    names = {action.dest.split(".")[0] for action in parser._actions}
    return sorted(name for name in names if not name.startswith(hidden))


def _readable(kind: str) -> str:
    kind = re.sub(r"<class '(?:\w+\.)*(\w+)'>", r"\1", kind).replace("typing.", "")
    if found := re.match(r"Literal\[(.+)\]", kind):
        return " or ".join(each.strip("' ") for each in found.group(1).split(","))
    words = {"int": "a whole number", "float": "a number", "bool": "true or false"}
    return words.get(kind, kind)
