"""Reading and checking of sweep files."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from withstand.errors import InputError, brief, nearest
from withstand.families import recipes
from withstand.parser import load_plugins
from withstand.reading import documents
from withstand.reading.documents import check_names, read_yaml
from withstand.reading.places import is_file

KEYS = ("name", "set", "vary", "seeds", "small", "plugin")
MOST_RUNS = 100_000  # of one sweep
MOST_LETTERS = 200  # of a name that becomes a folder
NAME = re.compile(r"[A-Za-z0-9][\w.\-]*")
# YAML 1.2, core schema, section 10.3.2; PyYAML follows 1.1, where 1e-3 is a string.
FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)[eE][-+]?[0-9]+$")


class Loader(documents.Loader):
    """Reads YAML with unique keys, in which 1e-3 is a number."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """Reject duplicate keys, of which PyYAML keeps the last."""
        lines: dict[tuple[str, str], int] = {}
        for key, _ in node.value if isinstance(node, yaml.MappingNode) else ():
            if not isinstance(key, yaml.ScalarNode):
                continue
            line, spelled = key.start_mark.line + 1, (key.tag, key.value)
            if spelled in lines:
                places = f"at line {line}" if lines[spelled] == line else f"at lines {lines[spelled]} and {line}"
                raise InputError(f"sweep: {self.name} has the key {key.value} twice, {places}; keys must be unique.")
            lines[spelled] = line
        return super().construct_mapping(node, deep=deep)


Loader.add_implicit_resolver("tag:yaml.org,2002:float", FLOAT, list("-+0123456789."))


def load(source: str, *, small: bool = False) -> dict[str, Any]:
    """Return the content of the file of a sweep.

    Args:
        source: Path of the file, or name of a recipe in `recipes/sweeps`.
        small: Whether to apply the small variant.

    Raises:
        InputError: If there is no such file or recipe, or it is not the file of a sweep.
    """
    path, known = Path(source), recipes("sweeps")
    if not is_file(path) and source not in known:
        raise InputError(f"sweep: expected a YAML file or a recipe, got {brief(source)}; {nearest(source, known)}")
    content = read_yaml("sweep", source, path if is_file(path) else known[source], Loader)
    if content is None:
        raise InputError(f"sweep: {source} is empty; expected {', '.join(KEYS)}.")
    if not isinstance(content, dict):
        raise InputError(f"sweep: {source} must hold {', '.join(KEYS)}, got {type(content).__name__}.")
    content.setdefault("name", path.stem)
    _check(content)
    load_plugins(f"sweep: {source}: plugin", content.get("plugin", []))
    if "small" not in content:
        if small:
            raise InputError(f"sweep: {source} has no small variant.")
        return content
    _check(content["small"], "small.")
    return _smaller(content) if small else content


def check_name(name: Any) -> None:
    """Reject an invalid name of a sweep."""
    if not isinstance(name, str) or not NAME.fullmatch(name) or len(name) > MOST_LETTERS:
        raise InputError(f"sweep: name must be usable as a folder's name, got {name!r:.120}.")


def check_seeds(count: Any) -> None:
    """Reject an invalid number of seeds."""
    if not isinstance(count, int) or isinstance(count, bool) or count < 1:
        raise InputError(f"sweep: seeds must be a number of at least 1, got {brief(count)}.")
    if count > MOST_RUNS:
        raise InputError(f"sweep: seeds must be a number of at most {MOST_RUNS:,}, got {brief(count)}.")


def _check(content: Mapping[Any, Any], inside: str = "") -> None:
    """Reject unknown keys and values of the wrong type; `inside` is the prefix of their names."""
    known = KEYS if not inside else tuple(each for each in KEYS if each != "small")
    for key in content:
        if key not in known:
            hint = nearest(str(key), known)
            raise InputError(f"sweep: {inside}{brief(key)} is not a key of a sweep file; {hint}")
    for key in ("set", "vary", "small"):
        if not isinstance(content.get(key, {}), dict):
            raise InputError(f"sweep: {inside}{key} must hold options by name, got {brief(content[key])}.")
        for name in content.get(key, {}):
            if not isinstance(name, str):
                raise InputError(f"sweep: names in {inside}{key} must be strings, got {brief(name)}; quote it.")
    # The names of groups of options, two levels below vary, may be numbers.
    axes = content.get("vary", {}).items()
    groups = {name: list(values.values()) if isinstance(values, dict) else values for name, values in axes}
    for key, own in (("set", content.get("set", {})), ("vary", groups)):
        check_names(f"sweep: {inside}{key}", own)
    if "name" in content:
        check_name(content["name"])
    if "seeds" in content:
        check_seeds(content["seeds"])


def _smaller(content: dict[str, Any]) -> dict[str, Any]:
    """Return the content of a file with the small variant's settings applied."""
    merged = {**content, "name": f"{content['name']}-small"}
    for key, part in content["small"].items():
        merged[key] = {**content.get(key, {}), **part} if isinstance(part, dict) else part
    return merged
