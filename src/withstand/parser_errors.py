"""Rewrite jsonargparse errors as one-line messages."""

import re
from collections.abc import Sequence
from dataclasses import fields
from difflib import get_close_matches

from jsonargparse import ArgumentParser

from withstand.configuration import discover
from withstand.errors import nearest
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


def sentence(message: str, parser: ArgumentParser, words: Sequence[str]) -> str:
    """Return a one-line message for an error of jsonargparse."""
    _, found, unknown = message.rpartition("unrecognized arguments: ")
    if found:
        # jsonargparse joins them by spaces, which a path may contain: take the longest word that matches.
        return _explain_unknown(
            max((word for word in words if unknown.startswith(word)), key=len, default=unknown), parser
        )
    return re.sub(r"(?<!\.)\.\.(?!\.)", ".", _explain(message, parser).replace("?.", "?"))


def _explain_unknown(word: str, parser: ArgumentParser) -> str:
    if not word.startswith("-") or is_number(word):
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
        exact = spellings(family)
        if loose(unknown) in exact:
            return f"{option}: {unknown} is spelled {exact[loose(unknown)]} in a YAML file."
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
