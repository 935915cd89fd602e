"""Bounded readers of YAML and JSON: size, depth, expanded aliases."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from withstand.errors import InputError, brief, told
from withstand.reading.places import read_bytes

MOST_BYTES = 1 << 20  # of a YAML file: some seconds of work
MOST_BYTES_OF_JSON = 1 << 26
MOST_LEVELS = 40  # of nested lists and mappings; configurations have about ten
MOST_NODES = 200_000  # scalars, lists and mappings, with aliases expanded
MOST_DIGITS = 300  # of a whole number; more do not fit into a float

Loader: type[yaml.SafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class Unfit(yaml.YAMLError):
    """YAML that is too deep, too large, recursive, or has a value that does not fit its tag."""


def check_bounds(text: str, *, most: int = MOST_BYTES) -> None:
    """Reject YAML that is too long, too deep or recursive, that aliases expand to too much, or with huge numbers.

    The values of the result are counted before any is built.

    Raises:
        YAMLError: If it is not valid YAML or exceeds a bound.
    """
    if len(text) > most:
        raise Unfit(f"it is longer than {most:,} characters")
    if not text.isascii() and any("\ud800" <= each <= "\udfff" for each in text):
        raise Unfit("it is not UTF-8")
    resolver = yaml.SafeLoader("")
    sizes: dict[str, int] = {}  # number of values by anchor
    opened: list[tuple[str | None, int]] = []  # anchor of each open list or mapping, and the count before it
    count = 0
    for event in yaml.parse(text, Loader=Loader):
        anchor = getattr(event, "anchor", None)
        if isinstance(event, yaml.AliasEvent):
            if anchor in [each for each, _ in opened]:
                raise Unfit(f"it contains itself, by the alias *{anchor}")
            count += sizes.get(str(anchor), 0)
        elif isinstance(event, yaml.CollectionStartEvent):
            opened.append((anchor, count))
            count += 1
            if len(opened) > MOST_LEVELS:
                raise Unfit(f"it is nested more than {MOST_LEVELS} levels deep")
        elif isinstance(event, yaml.CollectionEndEvent):
            name, before = opened.pop()
            sizes |= {} if name is None else {name: count - before}
        elif isinstance(event, yaml.ScalarEvent):
            count += 1
            sizes |= {} if anchor is None else {anchor: 1}
            _check_digits(event, resolver)
        if count > MOST_NODES:
            raise Unfit(f"it expands to more than {MOST_NODES:,} values")


def _check_digits(event: yaml.ScalarEvent, resolver: yaml.SafeLoader) -> None:
    if len(event.value) > MOST_DIGITS:
        tag = event.tag or resolver.resolve(yaml.ScalarNode, event.value, event.implicit)
        if tag == "tag:yaml.org,2002:int":
            raise Unfit(f"it has a number of more than {MOST_DIGITS} digits")


def bounded(load: Callable[[str], Any], *, most: int = MOST_BYTES) -> Callable[[str], Any]:
    """Return a loader of YAML that checks the bounds first, and raises nothing but InputError and YAMLError."""

    def loaded(text: str) -> Any:
        check_bounds(text, most=most)
        try:
            return load(text)
        except InputError:
            raise
        except (ValueError, TypeError, LookupError, ArithmeticError, AttributeError, RecursionError) as problem:
            raise Unfit(f"a value does not fit its type: {told(problem)}") from problem

    return loaded


def parse_yaml(who: str, name: str, text: str, loader: type[yaml.SafeLoader] = Loader) -> Any:
    """Return the content of YAML.

    Args:
        who: First word of error messages.
        name: The file or the text itself, for messages.
        text: The YAML.
        loader: Class that reads it.

    Raises:
        InputError: If it is invalid, too deep, too large or recursive.

    Example:
        >>> parse_yaml("on", "{a: 1}", "{a: 1}")
        {'a': 1}
    """

    def load(given: str) -> Any:
        reader = loader(given)
        reader.name = name
        return reader.get_single_data()

    try:
        return bounded(load)(text)
    except yaml.YAMLError as problem:
        mark = getattr(problem, "problem_mark", None)
        where = f" at line {mark.line + 1}" if mark else f" ({problem})" if isinstance(problem, Unfit) else ""
        raise InputError(f"{who}: {brief(name)} is not valid YAML{where}.") from problem


def read_yaml(who: str, name: str, path: Any, loader: type[yaml.SafeLoader] = Loader) -> Any:
    """Return the content of a YAML file or recipe; arguments and errors as for `parse_yaml`."""
    try:
        content = read_bytes(path, most=MOST_BYTES) if isinstance(path, Path) else path.read_bytes()
        text = content.decode()
    except (OSError, ValueError) as problem:
        raise InputError(f"{who}: {brief(name)} is not valid YAML ({_reason(problem)}).") from problem
    return parse_yaml(who, name, text, loader)


def read_json(who: str, path: Path) -> Any:
    """Return the content of a JSON file.

    Args:
        who: First word of error messages.
        path: The file.

    Raises:
        InputError: If it is not a file, or invalid, too deep or too large.
    """
    try:
        return json.loads(read_bytes(path, most=MOST_BYTES_OF_JSON).decode("utf-8-sig"))
    except (OSError, ValueError, RecursionError) as problem:
        raise InputError(f"{who}: {path} must be valid JSON ({_reason(problem)}).") from problem


def _reason(problem: Exception) -> str:
    return (isinstance(problem, OSError) and problem.strerror) or told(problem)


def check_names(who: str, content: object, place: str = "") -> None:
    """Reject content of YAML in which a key is not text.

    Raises:
        InputError: If there is one; the message names the mapping that holds it.
    """
    if isinstance(content, list | tuple | set):
        for each in content:
            check_names(who, each, place)
    elif isinstance(content, dict):
        for key, each in content.items():
            if not isinstance(key, str):
                inside = f" in {place}" if place else ""
                raise InputError(f"{who}: expected options by name{inside}, got the key {brief(key)}; quote it.")
            check_names(who, each, f"{place}.{key}" if place else key)
