"""Records: text, JSON and YAML files that the program wrote, checked against a schema when read."""

import json
import re
from collections.abc import Mapping
from dataclasses import is_dataclass
from functools import cache
from inspect import Parameter, signature
from pathlib import Path
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

import yaml

from withstand.errors import InputError, brief, told
from withstand.limits import refusal_of
from withstand.limits.checks import LARGEST
from withstand.reading.addresses import Address
from withstand.reading.documents import Loader, bounded
from withstand.reading.places import read_bytes

MOST_BYTES = 1 << 28  # of a file
MOST_DEPTH = 50  # of nested lists and dictionaries
SURROGATE = re.compile("[\ud800-\udfff]")
TOO_DEEP = "it is nested too deep"
AGAIN = "remove it and run the same command again"

Schema = TypeVar("Schema")


class _Refused(ValueError):
    """A value that a record cannot have."""


def damaged(path: Path | Address, why: str, then: str = AGAIN) -> InputError:
    """Return the error for a damaged record: what is wrong with it, and what to do."""
    return InputError(f"{path} is damaged ({brief(why)}); {then}.")


def unreadable(path: Path | Address, problem: OSError, then: str = AGAIN) -> InputError:
    """Return the error for a record that is missing or cannot be read."""
    if isinstance(problem, FileNotFoundError):
        return InputError(f"{path} is missing; {then.replace('remove it and ', '')}.")
    return damaged(path, problem.strerror or told(problem), then)


def read_text(path: Path | Address, *, then: str = AGAIN) -> str:
    """Return the content of a text file.

    Args:
        path: The file.
        then: What to do if it is damaged, for the message.

    Raises:
        InputError: If it is missing, cannot be read or is not UTF-8; the message names it.
    """
    try:
        if isinstance(path, Path):
            path.lstat()  # distinguishes a missing file
        return read_bytes(path, most=MOST_BYTES).decode()
    except OSError as problem:
        raise unreadable(path, problem, then) from problem
    except UnicodeDecodeError as problem:
        raise damaged(path, "it is not UTF-8", then) from problem


def read_json(path: Path | Address, *, then: str = AGAIN, file_names: bool = False) -> Any:
    """Return the content of a JSON file: no NaN, no whole number beyond 64 bits, at most 50 levels.

    Args:
        path: The file.
        then: What to do if it is damaged, for the message.
        file_names: Whether texts may be names of files that are not UTF-8.

    Raises:
        InputError: If it is missing or damaged; the message names it.
    """
    text = read_text(path, then=then)
    try:
        return parse_json(text, file_names=file_names)
    except ValueError as problem:
        raise damaged(path, told(problem), then) from problem


def parse_json(text: str, *, file_names: bool = False) -> Any:
    """Return the content of JSON, with the limits of `read_json`.

    Raises:
        ValueError: If it is invalid.
    """
    try:
        return _plain(json.loads(text), file_names=file_names)
    except RecursionError as problem:
        raise _Refused(TOO_DEEP) from problem


def read_yaml(path: Path, *, then: str = AGAIN) -> dict[str, Any]:
    """Return the values by name that a YAML file holds.

    Raises:
        InputError: If it is missing or damaged; the message names it.
    """
    return parse_yaml(path, read_text(path, then=then), then=then)


def parse_yaml(path: Path, text: str, *, then: str = AGAIN) -> dict[str, Any]:
    """Return the values by name that the text of a YAML file holds.

    Raises:
        InputError: If it is damaged; the message names the file.
    """
    try:
        content = _plain(bounded(lambda given: Loader(given).get_single_data(), most=MOST_BYTES)(text))
    except (ValueError, yaml.YAMLError) as problem:
        raise damaged(path, told(problem), then) from problem
    if not isinstance(content, dict):
        raise damaged(path, f"expected values by name, got {brief(content)}", then)
    return content


def read_record(path: Path | Address, schema: type[Schema], *, then: str = AGAIN, file_names: bool = False) -> Schema:
    """Return what a JSON file holds, checked against the annotations of a class.

    Args:
        path: The file.
        schema: A dataclass or NamedTuple, whose fields may be such classes again, or `tuple[...]` of anything; fields
            with a default may be missing, and unknown names are ignored.
        then: What to do if it is damaged, for the message.
        file_names: Whether texts may be names of files that are not UTF-8.

    Raises:
        InputError: If it is missing or damaged; the message names it.
    """
    content = read_json(path, then=then, file_names=file_names)
    try:
        return built(schema, content)
    except ValueError as problem:
        raise damaged(path, str(problem).removesuffix("."), then) from problem


def built(hint: Any, value: Any, place: str = "") -> Any:
    """Return plain content as its annotation wants it: dictionaries as dataclasses, lists as tuples.

    Args:
        hint: The annotation, see `read_record`.
        value: The content.
        place: Name of the value, for messages; empty for all of a file.

    Raises:
        ValueError: If it does not fit.
    """
    arguments = [each for each in get_args(hint) if each is not ...]
    if is_dataclass(hint) or hasattr(hint, "_fields"):
        return _instance(hint, value, place)
    if get_origin(hint) is tuple and isinstance(value, list):
        is_open = ... in get_args(hint)
        if not is_open and len(value) != len(arguments):
            raise _Refused(f"{place or 'it'} must be a list of {len(arguments)}")
        each = arguments * len(value) if is_open else arguments
        return tuple(built(own, one, f"{place}[{k}]") for k, (own, one) in enumerate(zip(each, value, strict=True)))
    if get_origin(hint) in (dict, Mapping) and isinstance(value, dict):
        return {_text(name, place): built(arguments[1], each, f"{place}.{name}") for name, each in value.items()}
    refusal = refusal_of(hint, value)
    if refusal is not None:
        where = f"{place}{refusal.place}" or "it"
        raise _Refused(f"{where} must be {refusal.expected}, got {brief(refusal.value)}")
    return value


def _plain(content: Any, *, file_names: bool = False) -> Any:
    """Return plain content unchanged; refuse values that no record holds."""
    pending: list[tuple[Any, int]] = [(content, 0)]
    while pending:
        value, depth = pending.pop()
        if isinstance(value, dict | list):
            if depth == MOST_DEPTH:
                raise _Refused(TOO_DEEP)
            pending += ((each, depth + 1) for each in value)
            pending += ((each, depth + 1) for each in value.values()) if isinstance(value, dict) else ()
        elif isinstance(value, str):
            if not file_names and SURROGATE.search(value):
                raise _Refused("a text is not UTF-8")
        elif isinstance(value, float):
            if value != value:
                raise _Refused("NaN is not a number")
        elif isinstance(value, int) and not isinstance(value, bool):
            if not -LARGEST <= value < LARGEST:
                raise _Refused("a whole number has more than 64 bits")
        elif value is not None and not isinstance(value, bool):
            raise _Refused(f"expected numbers and texts, got {type(value).__name__}")
    return content


def _instance(schema: Any, value: Any, place: str) -> Any:
    if not isinstance(value, dict):
        raise _Refused(f"{place or 'it'} must be values by name, got {brief(value)}")
    found = {}
    for name, hint, is_needed in _fields(schema):
        where = f"{place}.{name}" if place else name
        if name in value:
            found[name] = built(hint, value[name], where)
        elif is_needed:
            raise _Refused(f"it has no {where}")
    return schema(**found)


@cache
def _fields(schema: Any) -> tuple[tuple[str, Any, bool], ...]:
    """Return name and annotation of each field of a class, and whether it has no default."""
    hints = get_type_hints(schema, include_extras=True)
    return tuple(
        (name, hints[name], each.default is Parameter.empty) for name, each in signature(schema).parameters.items()
    )


def _text(name: Any, place: str) -> str:
    if not isinstance(name, str):
        raise _Refused(f"names in {place} must be texts, got {brief(name)}")
    return name
