"""One-line messages for errors of jsonargparse."""

import re
from collections.abc import Sequence
from dataclasses import fields, is_dataclass
from pydoc import locate
from typing import Any, cast

from withstand.configuration import discover
from withstand.errors import nearest
from withstand.families import FAMILIES, command_name, family_of, friendly, is_number, loose, spellings, training_fields


def sentence(message: str, command: str, options: Sequence[str], words: Sequence[str]) -> str:
    """Return a message of jsonargparse in one line behind its option, with a suggestion where a name is unknown."""
    _, unrecognized, rest = message.rpartition("unrecognized arguments: ")
    path = ".".join(re.findall(r'Parser key "([^"]+)"', message))
    if unrecognized and not path:
        # They are joined by spaces, which a path may contain: take the longest word that matches.
        word = max((word for word in words if rest.startswith(word)), key=len, default=rest)
        is_option = word.startswith("-") and not is_number(word)
        return unknown_option(word, options) if is_option else f"{command}: unexpected argument {word}"
    classes = ["withstand.experiment.Experiment", *re.findall(r"class_path '([^']+)'", message)]
    last = re.split(r"['\"]:\n", message)[-1]
    if found := re.search(r"(?:Group '(\S+)' .*o|O)ption '(\S+)'|arguments: --([^\s=]+)", last):
        *groups, name = ".".join(filter(None, found.groups())).split(".")
        cls = cast(Any, locate(classes[-1]))
        for group in groups:
            own: Any = (each.type for each in fields(cls) if each.name == group and is_dataclass(each.type))
            cls = next(own, cls)
        if cls.__name__ == "Experiment" and name in training_fields():
            return f"Experiment: {name} is not known; did you mean training.{name}?"
        return f"{cls.__name__}: {name} is not known; {nearest(name, [each.name for each in fields(cls)])}"
    option, key = f"option --{friendly(path)}: " if path else "", path.rpartition(".")[2]
    if (found := re.search(r"(?:path string: |Importing ')([^\s']+)", last)) and key in FAMILIES:
        names = [command_name(each) if key in ("data", "model") else each.__name__ for each in discover(family_of(key))]
        exact = spellings(family_of(key)).get(loose(found[1]))
        return f"{friendly(path)}: {found[1]} is not known; {nearest(found[1], [exact] if exact else names)}"
    lines = [line.strip() for line in last.splitlines() if re.fullmatch(r"\s*(?!- )\S.*[^:]", line)] or [last.strip()]
    text = re.sub(r"<class '(?:\w+\.)*(\w+)'>|typing\.", r"\1", "; ".join(lines)).replace(". Got value:", ", got")
    return f"{option}{text.removesuffix('.')}."


def unknown_option(word: str, known: Sequence[str]) -> str:
    """Return the message for an option that a command does not have, with the nearest ones that it has."""
    more = [f"--{each}" for each in training_fields()] if "--training.epochs" in known else []
    names = {friendly(each) for each in (*known, *more) if each.startswith("--") and not each.endswith(".help")}
    name = friendly(word.partition("=")[0])
    return f"option {name} is not known; {nearest(name, names, otherwise='--help shows all.')}"
