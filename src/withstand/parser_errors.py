"""What jsonargparse does not say itself: errors in one line, and help for a class that an option may name."""

import re
from argparse import SUPPRESS
from collections.abc import Iterable, Sequence
from dataclasses import fields, is_dataclass
from pydoc import locate
from typing import Annotated, Any, cast, get_args, get_origin, get_type_hints

from jsonargparse import ArgumentParser

from withstand.configuration import Configuration, discover
from withstand.errors import InputError, brief, nearest
from withstand.families import (
    FAMILIES,
    command_name,
    every_family,
    family_of,
    friendly,
    is_number,
    loose,
    spellings,
    training_fields,
)
from withstand.limits import refusal_of
from withstand.reading.documents import check_names, parse_yaml

KEY, CLASS = r'Parser key "([^"]+)"(?: element \d+)?:\n', r"class_path '([^']+)'"
UNKNOWN_CLASS = r"path string: (.*?)(?=\n\s+- Expected |\Z)|Importing '([^']*)'|Import path (\S+) does not"
HELP_OF = r"--([\w.]+)\.help: Expected a dot import path string: (.*)"
REQUEST = r"--([\w.]+)\.help(?:=(?:[\w.]+\.)?(\w+))?"
VALUE = r".*Given value: (.*)\Z|load config '(.*?)'|Got value: (.*?)(?=\Z|\s+Subclass types expect)"


def sentence(message: str, parser: ArgumentParser, words: Sequence[str]) -> str:
    """Return a message of jsonargparse in one line behind its option, with a suggestion where a name is unknown."""
    for name, _, value in (word.partition("=") for word in words):
        _check_value(f"option {friendly(name)}", value)
    _, unrecognized, rest = message.rpartition("unrecognized arguments: ")
    path = ".".join(re.findall(KEY, message))
    if found := re.search(HELP_OF, message):
        path, given = ".".join([*re.findall(KEY, message), found[1]]), found[2]
        return f"option --{friendly(path)}.help: {brief(given)} is not known; {_nearest_class(path, given)}"
    command = str(parser.prog).removeprefix("withstand ")
    if unrecognized and not path:
        # They are joined by spaces, which a path may contain: take the longest word that matches.
        word = max((word for word in words if rest.startswith(word)), key=len, default=rest)
        if word.startswith("-") and not is_number(word):
            return unknown_option(word, options_of(parser))
        return f"{command}: unexpected argument {brief(word)}"
    last = re.split(r"['\"](?: element \d+)?:\n", message)[-1]
    if found := re.search(r"(?:Group '(\S+)' .*o|O)ption '(\S+)'|arguments: --([^\s=]+)", last):
        classes = ["withstand.experiment.Experiment", *re.findall(CLASS, message)]
        return _unknown_field(cast(Any, locate(classes[-1])), ".".join(filter(None, found.groups())), path)
    key = path.rpartition(".")[2]
    family = family_of(key) if key in FAMILIES else _base_of(_hint_of(message, parser, path))
    if family and (found := re.search(UNKNOWN_CLASS, last, re.DOTALL)):
        given = _first(found)
        exact = spellings(family).get(loose(given))
        others = [each.__name__ for each in every_family() if loose(given) in spellings(each) and not exact]
        what = f"is a kind of {others[0]}, but not of {family.__name__}" if others else "is not known"
        return f"{friendly(path)}: {brief(given)} {what}; {_nearest_class(path, given, family)}"
    if path and not str(parser.prog).startswith("withstand "):  # a class in YAML, whose fields are no options
        option = f"{command}: {path.partition('.')[2] or path}"
    else:
        option = f"option --{friendly(path)}" if path else command
    if path and (found := re.search(r"arguments are required: (.+)", last)):
        needed = [f"--{friendly(f'{path}.{each}')}" for each in found[1].split(", ")]
        owner = re.findall(CLASS, message)[-1].rpartition(".")[2]
        return f"option --{friendly(path)}: {owner} needs more; give {' and '.join(needed)}."
    typed = [word.partition("=")[2] for word in words if word.startswith(f"--{path}=")]
    given = _first(found) if (found := re.search(VALUE, last, re.DOTALL)) else typed[-1] if typed else None
    if found := re.match(r"NestedArg\(key='([^']+)'", given or ""):
        return f"{option}.{friendly(found[1])} sets a field of {option.removeprefix('option ')} NAME; give both."
    if key in FAMILIES and "Expected" not in last:
        given = "other values" if given is None else given
        return f"{option} must be the name of a class, or class_path and init_args, got {brief(given)}."
    refused = "" if given is None else _refused(option, _hint_of(message, parser, path), given, last)
    return refused or f"{option}: {_plain(last)}"


def _nearest_class(path: str, given: str, family: type[Configuration] | None = None) -> str:
    """Return a suggestion of the names of classes that an option may have, nearest to an unknown one."""
    key = path.rpartition(".")[2]
    family = family or family_of(key)
    names = [command_name(each) if key in ("data", "model") else each.__name__ for each in discover(family)]
    exact = spellings(family).get(loose(given))
    return nearest(given, [exact] if exact else names)


def _check_value(option: str, value: str) -> None:
    """Reject a value in which a key is not text, or a number does not fit into a float."""
    try:
        content = parse_yaml(option, value, value)
    except InputError as problem:
        if "digits" in str(problem):
            raise
        return
    check_names(option, content)


def options_of(parser: ArgumentParser) -> list[str]:
    """Return the options of a parser, with their dashes."""
    return [each for action in parser._actions for each in action.option_strings]


def unknown_option(word: str, known: Sequence[str]) -> str:
    """Return the message for an option that a command does not have, with the nearest ones that it has."""
    more = [*(f"--{each}" for each in training_fields()), "--lr"] if "--training.epochs" in known else []
    names = {friendly(each) for each in (*known, *more) if each.startswith("--") and not each.endswith(".help")}
    name = word.partition("=")[0]
    shown = name.replace("_", "-")
    return f"option {brief(shown)} is not known; {nearest(friendly(name), names, otherwise='--help shows all.')}"


def _unknown_field(cls: Any, name: str, path: str) -> str:
    """Return the message for a field that a class, or a dataclass among its fields, does not have."""
    if cls.__name__ == "Experiment" and name in training_fields():
        return f"Experiment: {name} is not known; did you mean training.{name}?"
    first, _, rest = name.partition(".")
    own = {each.name: each.type for each in fields(cls)}
    while rest and is_dataclass(own.get(first)):
        cls = own[first]
        own, (first, _, rest) = {each.name: each.type for each in fields(cls)}, rest.partition(".")
    otherwise = None if own else f"it has no options; --{friendly(path)} chooses another class."
    return f"{cls.__name__}: {brief(first)} is not known; {nearest(first, own, otherwise=otherwise)}"


def _hint_of(message: str, parser: ArgumentParser, path: str) -> Any:
    """Return the annotation of the option that a message is about; None if it cannot be found."""
    *before, inner = re.split(CLASS, message)
    keys = re.findall(KEY, inner)
    if not before or not keys:
        return next((getattr(each, "_typehint", None) for each in parser._actions if each.dest == path), None)
    hint: Any = locate(before[-1])
    for name in ".".join(keys).split("."):
        if not is_dataclass(hint):
            return None
        hint = get_type_hints(hint, include_extras=True).get(name)
    return hint


def _base_of(hint: Any) -> type[Configuration] | None:
    """Return the class of configurations that an annotation allows."""
    if isinstance(hint, type) and issubclass(hint, Configuration):
        return hint
    return next((found for each in get_args(hint) if (found := _base_of(each))), None)


def _first(found: re.Match[str]) -> str:
    return next((each.strip() for each in found.groups() if each is not None), "")


def _refused(option: str, hint: Any, given: str, text: str) -> str:
    """Return what an option must be by its limits, and what came; empty if the limits do not say."""
    if hint is None or is_dataclass(hint):
        return f"{option} must be options by name, got {brief(given)}." if "load config" in text else ""
    try:
        value = parse_yaml(option, given, given)
    except InputError:
        value = given
    if "tuple" not in text:  # it is about an element
        hint = _element(hint)
    refusal = refusal_of(hint, value) or refusal_of(hint, given)
    if refusal is None:
        return ""
    got = brief(refusal.value if refusal.place else "inf" if given == ".inf" else given)
    family = _base_of(hint)
    names = f", such as '[{discover(family)[0].__name__}]'" if family and refusal.expected.startswith("a list") else ""
    return f"{option}{refusal.place} must be {refusal.expected}{names}, got {got}."


def _element(hint: Any) -> Any:
    """Return the annotation of the elements of a tuple; that of anything else unchanged."""
    inner = get_args(hint)[0] if get_origin(hint) is Annotated else hint
    return get_args(inner)[0] if get_origin(inner) is tuple else hint


def _plain(text: str) -> str:
    """Return a message of jsonargparse without its types, in one line."""
    lines = [line.strip() for line in text.splitlines() if re.fullmatch(r"\s*(?!- )\S.*[^:]", line)] or [text.strip()]
    if found := re.search(r"argument after \*\* must be a mapping, not (\w+)", text):
        return f"expected options by name, got a {found[1]}."
    plain = re.sub(r"<class '(?:\w+\.)*(\w+)'>|typing\.", r"\1", "; ".join(lines)).replace(". Got value:", ", got")
    return f"{plain.removesuffix('.')}."


def print_class_help(parser: ArgumentParser, words: Iterable[str]) -> None:
    """Print the fields of the first class whose help is requested, as options with their whole names, and exit.

    Unknown classes are left to the parser, which rejects them.

    Args:
        parser: The command's parser.
        words: Options as `spell` writes them.

    Raises:
        InputError: If help is requested without a class.
    """
    for found in filter(None, (re.fullmatch(REQUEST, each) for each in words)):
        path, name = found.groups()
        key = path.rpartition(".")[2]
        if key in FAMILIES and name is None:
            raise InputError(f"option --{friendly(path)}.help: expected the name of a class, got none.")
        for cls in discover(family_of(key)) if key in FAMILIES else ():
            if cls.__name__ == name:
                _help_parser(parser, path, cls).print_help()
                parser.exit()


def _help_parser(parser: ArgumentParser, path: str, cls: type) -> ArgumentParser:
    own = ArgumentParser(
        usage=f"{parser.prog} --{friendly(path)} {cls.__name__} [OPTIONS]",
        formatter_class=parser.formatter_class,
        add_help=False,
        print_config=None,
    )
    own.add_class_arguments(cls, path)
    for action in own._actions:
        if action.dest == path:  # jsonargparse's option for all fields at once
            action.help = SUPPRESS
    return own
