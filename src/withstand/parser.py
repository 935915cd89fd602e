"""Parse flags and YAML: jsonargparse over the configuration dataclasses, with friendlier spelling."""

import re
from argparse import ArgumentError
from collections.abc import Callable, Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml
from jsonargparse import ArgumentParser, Namespace, set_parsing_settings

from withstand.configuration import discover
from withstand.errors import InputError, nearest
from withstand.families import FAMILIES, every_family, family_of, friendly, is_number, loose, spellings, training_fields
from withstand.parser_errors import sentence

# A configuration may name classes of the package only, since jsonargparse imports a name before it checks it.
set_parsing_settings(import_path_denylist=["*"], import_path_allowlist=["withstand"])

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
        lists: Options that take several values; None lets all of them. Others take one value.
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
        if not token.startswith("-") or is_number(token):
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
        raise InputError(sentence(str(problem), parser, words)) from problem


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
    known = {each.__name__: (key, each) for key in keys for each in discover(family_of(key))}
    name = name.rsplit(".", 1)[-1]
    if name not in known:
        raise InputError(f"{who}: {name} is not known; {nearest(name, known)}")
    key, cls = known[name]
    path = f"{cls.__module__}.{cls.__qualname__}"
    if content["class_path"] not in (name, f"withstand.{name}", path):
        raise InputError(f"{who}: {content['class_path']} is not known; did you mean {name}?")
    parser = ArgumentParser(exit_on_error=False)
    parser.add_argument(f"--{key}", type=family_of(key))
    # Its full path: a class of the user's own may have the same name.
    given = {key: {**content, "class_path": path}}
    return getattr(_instantiated(parser, lambda: parser.parse_object(given)), key)


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
    known = spellings(family_of(key))
    if loose(values[0]) in known:
        return [(name, [known[loose(values[0])]])]
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


def _is_value(token: str) -> bool:
    return not token.startswith("-") or is_number(token)
