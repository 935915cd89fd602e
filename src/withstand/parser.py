"""Parsing of options and YAML: jsonargparse with short spellings."""

import importlib
import re
from argparse import ArgumentError
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from jsonargparse import ArgumentParser, Namespace, get_loader, set_loader, set_parsing_settings

from withstand import plugins
from withstand.configuration import discover, to_plain
from withstand.errors import InputError, brief, nearest
from withstand.families import (
    FAMILIES,
    every_family,
    family_of,
    friendly,
    is_number,
    loose,
    recipes,
    spellings,
    training_fields,
)
from withstand.limits import refusal_of
from withstand.parser_errors import options_of, print_class_help, sentence, unknown_option
from withstand.reading.documents import bounded, check_names, parse_yaml, read_yaml
from withstand.reading.own_defaults import with_own_defaults
from withstand.reading.places import is_there

# jsonargparse imports a class path before it checks it, so only this package may be imported.
set_parsing_settings(import_path_denylist=["*"], import_path_allowlist=["withstand"])
set_loader("yaml", bounded(get_loader("yaml")), (yaml.YAMLError,))

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
    known: Sequence[str] | None = None,
    classes: bool = True,
) -> list[str]:
    """Rewrite short and dashed spellings into full option names, and put options before those of their fields.

    Dashes become underscores; options of `training` may omit that prefix; `--model resnet18` and `--data
    fashion-mnist` become class names; `--config` names a recipe if there is no such file. The order in which options
    are typed does not matter.

    Args:
        arguments: As typed.
        training: Whether the command trains.
        flags: Options that take no value.
        lists: Options that take several values; None lets all of them. Others take one value.
        known: All options; None does not check.
        classes: Whether options may name classes.

    Example:
        >>> spell(["--batch-size", "8", "--model", "small-cnn"], training=True)
        ['--model=SmallCNN', '--training.batch_size=8']
    """
    if classes:
        every_family()
    own = set(training_fields()) if training else set()
    plain, options, rest = [], [], deque(arguments)
    while rest:
        token = rest.popleft()
        if _is_value(token):
            plain.append(token)
            continue
        name, equals, value = token.partition("=")
        name, values = _option(name, own, training=training), [value] if equals else []
        most = 0 if equals or name in flags else len(arguments) if lists is None or name in lists else 1
        while len(values) < most and rest and _is_value(rest[0]):
            word = rest.popleft()
            values.append(".inf" if word in ("inf", "infinity") else word)
        if name == "--model.pretrained" and not values:
            values = ["true"]
        _check_option(name, known, has_value=bool(values) or name in flags)
        options += _rewrite(name, values)
    options.sort(key=lambda each: (not each[0].startswith("--config"), each[0].count(".")))
    written = [[f"{name}={values[0]}"] if len(values) == 1 else [name, *values] for name, values in options]
    return plain + [word for words in written for word in words]


def _check_option(name: str, known: Sequence[str] | None, *, has_value: bool) -> None:
    """Reject unknown short options, and options without a value, other than a request for help."""
    if not name.startswith("--") and name != "-h":
        raise InputError(f"option {brief(name)} is not known; --help shows all.")
    if has_value or name == "-h" or name.endswith((".help", "--help")):
        return
    if known is not None and name.partition(".")[0] not in {each.partition(".")[0] for each in known}:
        raise InputError(unknown_option(name, known))
    raise InputError(f"option {friendly(name)}: expected a value, got none.")


def parse(parser: ArgumentParser, arguments: list[str], *, training: bool = False) -> Namespace:
    """Parse command-line arguments, and return them as objects.

    Raises:
        InputError: If an option or value is unknown or out of range.
    """
    flags, lists = (
        frozenset(o for action in parser._actions if action.nargs in counts for o in action.option_strings)
        for counts in ((0,), ("+", "*"))
    )
    _load_named(arguments)
    known = options_of(parser)
    classes = training or not {each.removeprefix("--").partition(".")[0] for each in known}.isdisjoint(FAMILIES)
    words = spell(arguments, training=training, flags=flags, lists=lists, known=known, classes=classes)
    print_class_help(parser, words)
    if training:
        words = with_own_defaults(words, *_classes(tuple(plugins.names())), plain=to_plain)
    found = _instantiated(parser, lambda: parser.parse_args(words), words)
    for action in parser._actions:
        value, hint = vars(found).get(action.dest), getattr(action, "_typehint", None)
        for each in value if isinstance(value, list) else [value]:
            if each is not None and hint is not None and (refusal := refusal_of(hint, each)):
                place = f"{friendly(action.dest)}{refusal.place}"
                raise InputError(f"option --{place} must be {refusal.expected}, got {brief(refusal.value)}.")
    return found


def _load_named(words: Sequence[str]) -> None:
    """Load the plug-ins that options name, before classes are looked up."""
    rest = deque(words)
    while rest:
        name, equals, value = rest.popleft().partition("=")
        if name != "--plugin":
            continue
        given = [value] if equals else []
        while not equals and rest and _is_value(rest[0]):
            given.append(rest.popleft())
        load_plugins("option --plugin", given)


def load_plugins(who: str, sources: Any) -> None:
    """Load plug-ins, and let options and YAML name their classes.

    Raises:
        InputError: If one cannot be loaded, or `sources` is neither a source nor a list of sources.
    """
    sources = [sources] if isinstance(sources, str) else sources
    if not isinstance(sources, list) or not all(isinstance(each, str) for each in sources):
        raise InputError(f"{who}: expected files or modules, got {brief(sources)}.")
    for each in sources:
        plugins.load(each)
    for family in every_family() if sources else ():
        discover(family)  # two classes of one name are refused here
        for cls in plugins.unfinished(family):
            missing = ", ".join(sorted(cls.__abstractmethods__))
            raise InputError(f"{who}: {cls.__name__} must define {missing}, as every {family.__name__} does.")


def _instantiated(parser: ArgumentParser, read: Callable[[], Namespace], words: Sequence[str] = ()) -> Namespace:
    set_parsing_settings(import_path_allowlist=list(plugins.names()))
    try:
        return parser.instantiate(read())
    except InputError:
        raise
    except (ArgumentError, TypeError, ValueError, LookupError, ArithmeticError, RecursionError) as problem:
        cause: BaseException | None = problem
        while cause is not None:
            if isinstance(cause, InputError):
                raise cause from None
            cause = cause.__cause__ or cause.__context__
        raise InputError(sentence(str(problem), parser, words)) from problem


def build(who: str, value: str | Mapping[str, Any], *keys: str) -> Any:
    """Build an object from a class name, or from its `class_path` and `init_args`.

    Args:
        who: First word of error messages.
        value: A class name, YAML or a mapping.
        keys: Options whose families the class may belong to, such as `perturbation`.

    Raises:
        InputError: If the class is unknown, or a field cannot have its value.

    Example:
        >>> build("on", "{class_path: Gaussian, init_args: {std: 0.1}}", "perturbation")
        Gaussian(std=0.1)
    """
    if isinstance(value, str):
        value = parse_yaml(who, value, value)
    content = {"class_path": value} if isinstance(value, str) else value
    check_names(who, content)
    name = content.get("class_path") if isinstance(content, Mapping) else None
    if not isinstance(content, Mapping) or not isinstance(name, str):
        raise InputError(f"{who}: expected the name of a class, or class_path and init_args, got {brief(value)}.")
    known = {each.__name__: (key, each) for key in keys for each in discover(family_of(key))}
    name = name.rsplit(".", 1)[-1]
    if name not in known:
        raise InputError(f"{who}: {brief(name)} is not known; {nearest(name, known)}")
    key, cls = known[name]
    path = f"{cls.__module__}.{cls.__qualname__}"
    if content["class_path"] not in (name, f"withstand.{name}", path):
        raise InputError(f"{who}: {brief(content['class_path'])} is not known; did you mean {name}?")
    parser = ArgumentParser(prog=who, exit_on_error=False)
    parser.add_argument(f"--{key}", type=family_of(key))
    # The full path, since a user-defined class may have the same name.
    given = {key: {**content, "class_path": path}}
    return getattr(_instantiated(parser, lambda: parser.parse_object(given)), key)


@cache
def _classes(_: tuple[str, ...]) -> tuple[dict[str, dict[str, type]], dict[str, type]]:
    """Return the classes of each option of a training by name, and the default ones; anew for other plug-ins."""
    experiment = importlib.import_module("withstand.experiment").Experiment()
    present = {key: type(getattr(experiment, key)) for key in ("data", "model", "objective")}
    present |= {f"training.{key}": type(getattr(experiment.training, key)) for key in ("optimizer", "schedule")}
    known = {key: {each.__name__: each for each in discover(family_of(key.rpartition(".")[2]))} for key in present}
    return known, present


def _option(name: str, own: set[str], *, training: bool) -> str:
    if name.startswith("--"):
        name = "--" + name[2:].replace("-", "_")
    if name in SHORT and (training or not SHORT[name].startswith(("--training", "--model"))):
        return SHORT[name]
    name = {"-b": "--batch_size", "-j": "--workers"}.get(name, name)
    return f"--training.{name[2:]}" if name[2:].split(".")[0] in own else name


def _rewrite(name: str, values: list[str]) -> list[tuple[str, list[str]]]:
    key = name.removesuffix(".help").rsplit(".", 1)[-1].removeprefix("--")
    if name == "--config" and values:
        path = Path(values[0])
        if not is_there(path):
            if values[0] not in recipes():
                hint = nearest(values[0], recipes())
                raise InputError(f"config: expected a YAML file or a recipe, got {brief(values[0])}; {hint}")
            path = recipes()[values[0]]
        content = read_yaml("config", values[0], path)
        if not isinstance(content, dict):
            raise InputError(f"config: {values[0]} must hold options by name, got {type(content).__name__}.")
        check_names(f"config: {values[0]}", content)
        load_plugins(f"config: {values[0]}: plugin", content.get("plugin", []))
        if not isinstance(content.get("training", {}), dict):
            raise InputError(f"config: training must hold options by name, got {content['training']!r}.")
        written = _spelled(content)
        return [(name, [str(path) if written == content else yaml.safe_dump(written, sort_keys=False)])]
    if re.match(r"--model\.init_args(\.|$)", name):
        return [(name.replace("init_args", "arguments", 1), values)]
    if name == "--model" and len(values) == 1 and plugins.is_source(values[0]):
        return [(name, ["External"]), ("--model.source", values)]
    if key not in FAMILIES or len(values) != 1 or not re.fullmatch(r"[\w/.\-]+", values[0]):
        return [(name, values)]
    known = spellings(family_of(key))
    if loose(values[0]) in known:
        return [(name, [known[loose(values[0])]])]
    if name == "--model" and not is_there(Path(values[0])) and values[0].rsplit(".", 1)[-1] not in known.values():
        family = "Released" if values[0].startswith("game-of-noise/") else "Vision"
        return [(name, [family]), ("--model.name", values)]
    return [(name, values)]


def _spelled(content: Any, key: str = "") -> Any:
    """Return the content of YAML with the names of classes as options spell them: `digits`, `net.py:build`."""
    if isinstance(content, list):
        return [_spelled(each, key) for each in content]
    if isinstance(content, str) and key in FAMILIES:
        return _spelled({"class_path": content}, key) if _class_of(key, content) != content else content
    if not isinstance(content, dict):
        return content
    name, arguments = content.get("class_path"), content.get("init_args")
    if key == "model" and isinstance(name, str) and plugins.is_source(name):
        own = {"source": name} | ({"arguments": arguments} if arguments else {})
        return {"class_path": "External", "init_args": own}
    found = {each: _spelled(value, each if isinstance(each, str) else "") for each, value in content.items()}
    return found | {"class_path": _class_of(key, name)} if key in FAMILIES and isinstance(name, str) else found


def _class_of(key: str, name: str) -> str:
    """Return the name of the class that a spelling means; the spelling itself if there is none."""
    if key == "model" and plugins.is_source(name):
        return "External"
    return spellings(family_of(key)).get(loose(name), name)


def _is_value(token: str) -> bool:
    return not token.startswith("-") or is_number(token)
