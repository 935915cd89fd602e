"""Defaults of classes that options name: they replace the values of the class that was there before."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any

import yaml

from withstand.reading.documents import parse_yaml, read_yaml


def with_own_defaults(
    words: Iterable[str],
    classes: Mapping[str, Mapping[str, type]],
    present: Mapping[str, type],
    plain: Callable[[Any], Any],
) -> list[str]:
    """Return the options of a training, completed where they name another class than the one before.

    jsonargparse keeps the values of fields that both classes have, even those that nobody gave: the learning rate of
    the default optimizer, for example.

    Args:
        words: Options as `spell` writes them: `--name=value`, `--config` first, and options before their fields.
        classes: The classes that each option may name, by option (`model`, `training.optimizer`) and name.
        present: The default class of each option.
        plain: Returns a value as YAML has it.
    """
    now, found = dict(present), list[str]()
    for word in words:
        name, _, value = word.partition("=")
        key = name.removeprefix("--")
        found.append(f"{name}={_completed(value, classes, now, plain)}" if key == "config" and value else word)
        cls = classes.get(key, {}).get(value)
        if cls is not None:
            others = _others(cls, now[key], plain)
            found += [f"{name}.{field}={each if isinstance(each, str) else json.dumps(each)}" for field, each in others]
            now[key] = cls
    return found


def _completed(
    source: str, classes: Mapping[str, Mapping[str, type]], now: dict[str, type], plain: Callable[[Any], Any]
) -> str:
    """Return a configuration with the defaults of the classes that it names; stores them in `now`."""
    content = parse_yaml("config", source, source) if "\n" in source else read_yaml("config", source, Path(source))
    changed = False
    for key, known in classes.items():
        *outer, last = key.split(".")
        place = content
        for each in outer:
            place = place.get(each) if isinstance(place, dict) else None
        named = place.get(last) if isinstance(place, dict) else None
        path = named.get("class_path") if isinstance(named, dict) else named
        cls = known.get(path.rpartition(".")[2]) if isinstance(path, str) else None
        given = (named.get("init_args") or {}) if isinstance(named, dict) else {}
        if cls is None or not isinstance(place, dict) or not isinstance(given, dict):
            continue
        missing = {field: value for field, value in _others(cls, now[key], plain) if field not in given}
        now[key] = cls
        if missing:
            place[last], changed = {"class_path": path, "init_args": missing | given}, True
    return yaml.safe_dump(content, sort_keys=False) if changed else source


def _others(cls: type, before: type, plain: Callable[[Any], Any]) -> Iterator[tuple[str, Any]]:
    """Yield the fields of a class that the one before has as well, with their defaults."""
    if cls is before:
        return
    shared = {each.name for each in fields(before)}  # type: ignore[arg-type]
    for each in fields(cls):  # type: ignore[arg-type]
        if each.name in shared and each.default is not MISSING:
            yield each.name, plain(each.default)
