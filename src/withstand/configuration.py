"""Configurations: frozen, keyword-only dataclasses with checked fields, a plain form and an identity."""

import dis
import hashlib
import importlib
import inspect
import json
import pkgutil
import sys
from abc import ABC, ABCMeta
from collections.abc import Callable, Iterator
from dataclasses import field, fields, is_dataclass, replace
from pathlib import Path
from types import CodeType
from typing import Any, TypeVar, cast

from withstand import plugins
from withstand.errors import InputError
from withstand.limits import check_fields

Anything = TypeVar("Anything")
LATER = "later"  # in the metadata of a field


class Configuration:
    """The base of the families: frozen, keyword-only dataclasses that are the configuration and the object at once.

    A class is abstract or final. Values are checked against the annotations of the fields, see `withstand.limits`. A
    class whose fields must fit each other extends `__post_init__`.
    """

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        check_final(cls)

    def __post_init__(self) -> None:
        check_fields(self)

    def __reduce_ex__(self, protocol: Any) -> Any:
        """Let other processes import the plug-in that defines the class, if one does."""
        source = plugins.source_of(type(self))
        if source is None:
            return super().__reduce_ex__(protocol)
        values = {each.name: getattr(self, each.name) for each in fields(cast(Any, self))}
        return _restored, (source, type(self).__module__, type(self).__qualname__, values)


def _restored(source: str, module: str, name: str, values: dict[str, Any]) -> Any:
    plugins.load(source)
    found: Any = importlib.import_module(module)
    for part in name.split("."):
        found = getattr(found, part)
    return found(**values)


def later(default: Anything) -> Anything:
    """Return a field that was added to a published class: left out of the plain form, so of identities, at its default.

    Example:
        >>> from dataclasses import dataclass
        >>> @dataclass(frozen=True, kw_only=True)
        ... class Noise:
        ...     std: float = 0.5
        ...     skew: float = later(0.0)
        >>> to_plain(Noise()), to_plain(Noise(skew=0.1))
        ({'std': 0.5}, {'std': 0.5, 'skew': 0.1})
    """
    return field(default=default, metadata={LATER: True})


def check_final(cls: type) -> None:
    """Refuse a subclass of a concrete class.

    Raises:
        TypeError: If a parent of the class is concrete.
    """
    for parent in cls.__mro__[1:]:
        if issubclass(parent, ABC) and parent is not ABC and not inspect.isabstract(parent):
            raise TypeError(
                f"{cls.__name__} subclasses {parent.__name__}, which is concrete and therefore final. "
                "Hold it in a field instead."
            )


def discover(family: type) -> tuple[type, ...]:
    """Return every final class of a family (Perturbation, Objective, ...) by walking its package and all plug-ins.

    Args:
        family: The abstract class.

    Returns:
        The concrete subclasses, ordered by name.

    Raises:
        InputError: If two have the same name.

    Example:
        >>> from withstand.perturbations.base import Perturbation
        >>> "Gaussian" in [cls.__name__ for cls in discover(Perturbation)]
        True
    """
    package = importlib.import_module(family.__module__.rsplit(".", 1)[0])
    for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        importlib.import_module(module.name)
    plugins.load_installed()
    found: dict[str, type] = {}
    pending = [family]
    while pending:
        for cls in pending.pop().__subclasses__():
            pending.append(cls)
            own = cls.__module__.startswith(package.__name__ + ".")
            if inspect.isabstract(cls) or not (own or plugins.source_of(cls)):
                continue
            if found.setdefault(cls.__name__, cls) is not cls:
                places = " and ".join(sorted({cls.__module__, found[cls.__name__].__module__}))
                raise InputError(f"plugin: {places} both define {cls.__name__}; rename one of them.")
    return tuple(found[name] for name in sorted(found))


def to_plain(value: object) -> object:
    """Return a configuration as nested dictionaries, lists and numbers, in the form that the YAML has.

    Example:
        >>> from withstand.perturbations.gaussian import Gaussian
        >>> to_plain(Gaussian(std=0.5))["class_path"]
        'withstand.perturbations.gaussian.Gaussian'
    """
    if is_dataclass(value) and not isinstance(value, type):
        cls = type(value)
        held = {each: getattr(value, each.name) for each in fields(value)}
        kept = {each.name: own for each, own in held.items() if not (LATER in each.metadata and own == each.default)}
        arguments: dict[str, object] = {name: to_plain(own) for name, own in kept.items()}
        # Members of a family carry their class path; others (Ball, Training) are identified by their field.
        if not isinstance(cls, ABCMeta):
            return arguments
        return {"class_path": f"{cls.__module__}.{cls.__qualname__}", "init_args": arguments}
    if isinstance(value, list | tuple):
        return [to_plain(each) for each in value]
    if isinstance(value, dict):
        return {str(key): to_plain(each) for key, each in value.items()}
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise InputError(
        f"configuration: a field must be a number, text, list or configuration, got {type(value).__name__}."
    )


def identity(value: object) -> str:
    """Return 16 hexadecimal digits that depend on every field of a configuration and on nothing else.

    Where work is reused because identities agree, the configurations themselves are compared, see `canonical`.

    Example:
        >>> from withstand.perturbations.gaussian import Gaussian
        >>> identity(Gaussian(std=0.5)) == identity(Gaussian(std=0.5)) != identity(Gaussian(std=0.4))
        True
    """
    return hashlib.blake2b(canonical(value).encode(), digest_size=8).hexdigest()


def canonical(value: object) -> str:
    """Return a configuration, or its plain form, as a text that only equal ones share.

    Example:
        >>> canonical({"b": (2.0, None), "a": "x"})
        '{"a":"x","b":[2,null]}'
    """
    return json.dumps(to_plain(value), sort_keys=True, separators=(",", ":"))


def foreign_source(value: object) -> str:
    """Return a hash of all code and files outside the package that a configuration names; empty if there are none.

    These are the classes of plug-ins and other foreign classes, and what classes with a method `digest` name. Names and
    fields alone do not determine their results.
    """
    found: dict[Any, str] = {}
    for each in _within(value):
        if not type(each).__module__.startswith("withstand."):
            found[type(each)] = source_of(type(each))
        if (digest := getattr(each, "digest", None)) is not None:
            found[canonical(each)] = digest()
    return hashlib.blake2b("".join(found.values()).encode(), digest_size=8).hexdigest() if found else ""


def plugins_of(value: object) -> list[str]:
    """Return the sources of the plug-ins whose classes a configuration uses."""
    found = [plugins.source_of(type(each)) for each in _within(value)]
    return list(dict.fromkeys(each for each in found if each is not None))


def _within(value: object) -> Iterator[object]:
    """Yield a configuration and all that it holds."""
    if isinstance(value, list | tuple):
        for each in value:
            yield from _within(each)
    elif is_dataclass(value) and not isinstance(value, type):
        yield value
        for each in fields(value):
            yield from _within(getattr(value, each.name))


def source_of(cls: type) -> str:
    """Return the source of a class and of what it uses from its own package: bases, functions, classes, plain values.

    Without source it is the byte code.
    """
    package = cls.__module__.partition(".")[0]
    found: dict[Any, str] = {}
    pending: list[Any] = [cls]
    while pending:
        each = pending.pop()
        if each in found or (getattr(each, "__module__", None) or "").partition(".")[0] != package:
            continue
        found[each] = _text_of(each)
        members = vars(each) if isinstance(each, type) else {"": each}
        if isinstance(each, type):
            pending += each.__bases__
            plain = {key: value for key, value in members.items() if not key.startswith("__")}
            found[each] += "".join(_as_text(key, value) for key, value in plain.items())
        names = vars(sys.modules.get(each.__module__, object))
        for key in sorted({key for member in members.values() for key in _globals_of(member) if key in names}):
            if inspect.isfunction(names[key]) or isinstance(names[key], type):
                pending.append(names[key])
            else:
                found[each] += _as_text(key, names[key])
    return "".join(found.values())


def _text_of(value: Any) -> str:
    try:
        return inspect.getsource(value)
    except (OSError, TypeError):
        members = vars(value).values() if isinstance(value, type) else [value]
        functions = [each for each in members if inspect.isfunction(each)]
        return "".join(f"{each.__name__}{each.__code__.co_code.hex()}" for each in functions)


def _as_text(name: str, value: Any) -> str:
    """Return a name and its plain value as text; empty for other values."""
    try:
        return f"{name}={json.dumps(value, sort_keys=True)};"
    except (TypeError, ValueError):
        return ""


def _globals_of(member: Any) -> Iterator[str]:
    """Yield the names of globals that a function, method or property reads."""
    for each in (getattr(member, "fget", None), getattr(member, "__func__", None), member):
        code = getattr(inspect.unwrap(each), "__code__", None) if callable(each) else None
        pending = [code]
        while pending:
            own = pending.pop()
            if isinstance(own, CodeType):
                yield from (step.argval for step in dis.get_instructions(own) if step.opname == "LOAD_GLOBAL")
                pending += own.co_consts


def rebuilt(configuration: Anything, rule: Callable[[str, Any], Any]) -> Anything:
    """Return a configuration in which a rule, from a field's name and value to its value, was applied to every field.

    Example:
        >>> from withstand.perturbations.gaussian import Gaussian
        >>> rebuilt((Gaussian(std=0.5),), lambda name, value: 0.25 if name == "std" else value)
        (Gaussian(std=0.25),)
    """
    if isinstance(configuration, tuple):
        return cast(Anything, tuple(rebuilt(each, rule) for each in configuration))
    if not is_dataclass(configuration) or isinstance(configuration, type):
        return configuration
    changes: dict[str, Any] = {}
    for each in fields(configuration):
        own = getattr(configuration, each.name)
        new = rule(each.name, own)
        new = rebuilt(own, rule) if new is own else new
        if new is not own and new != own:
            changes[each.name] = new
    return replace(configuration, **changes) if changes else configuration
