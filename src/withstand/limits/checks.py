"""Checks of values against annotations with limits."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from numbers import Integral, Real
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, NamedTuple, Union, get_args, get_origin

from annotated_types import BaseMetadata, GroupedMetadata

from withstand.errors import MOST_SHOWN, InputError, brief
from withstand.limits.rules import Within, rule_of

LARGEST = 1 << 63  # bound of whole numbers, which tensors and Parquet files hold in 64 bits


class Refusal(NamedTuple):
    """A value that a field cannot have.

    Attributes:
        place: Index within the field, such as `[1]`; empty for the field itself.
        expected: What the value at that place must be.
        value: The value at that place.
        is_kind: Whether the value has the wrong type, not just the wrong size.
    """

    place: str
    expected: str
    value: object
    is_kind: bool = False


Check = Callable[[Any], Refusal | None]


def check_of(hint: Any) -> Check:
    """Return the check of values against an annotation."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return _limited(check_of(arguments[0]), arguments[1:])
    if origin is Literal:
        return _one_of(arguments)
    if origin in (Union, UnionType):
        return _any_of([check_of(each) for each in arguments if each is not NoneType], NoneType in arguments)
    if origin is tuple:
        return _tuple_of([check_of(each) for each in arguments if each is not ...], is_open=... in arguments)
    if origin in (dict, Mapping):
        return _mapping_of(*map(check_of, arguments))
    if origin in (Sequence, Iterable):
        return _values_of(check_of(arguments[0]), is_counted=origin is Sequence)
    return _kind(origin if origin in (type, Callable) else hint)


def _kind(hint: Any) -> Check:
    known: dict[Any, tuple[str, Callable[[Any], bool]]] = {
        int: ("a whole number", _is_whole),
        float: ("a number", _is_number),
        bool: ("true or false", lambda value: isinstance(value, bool)),
        str: ("a text", lambda value: isinstance(value, str)),
        dict: ("values by name", lambda value: isinstance(value, Mapping)),
        type: ("a class", lambda value: isinstance(value, type)),
        Path: ("a path", lambda value: isinstance(value, Path)),
        Callable: ("a function", callable),
    }
    if hint in known:
        expected, fits = known[hint]
    elif hint is not Any and isinstance(hint, type) and getattr(hint, "_is_runtime_protocol", True):
        expected, fits = f"an instance of {hint.__name__}", lambda value: isinstance(value, hint)
    else:
        return lambda _: None

    def kind(value: Any) -> Refusal | None:
        if not fits(value):
            return Refusal("", expected, value, True)
        is_long = hint is int and not -LARGEST <= value < LARGEST
        return Refusal("", f"{expected} (64 bits)", value, True) if is_long else None

    return kind


def _is_whole(value: Any) -> bool:
    # `int` first: checks against abstract classes are slower.
    return type(value) is int or (isinstance(value, Integral) and not isinstance(value, bool))


def _is_number(value: Any) -> bool:
    if type(value) is not float and (not isinstance(value, Real) or isinstance(value, bool)):
        return False
    try:
        return float(value) == float(value)
    except OverflowError:  # a whole number of hundreds of digits
        return False


def _limited(check: Check, metadata: tuple[object, ...]) -> Check:
    tests, words = [], []
    for each in metadata:
        group = Within(each) if isinstance(each, BaseMetadata) else each
        if isinstance(group, GroupedMetadata):
            group = Within(*group)
            words.append(repr(group))
            tests += [rule_of(limit)[1] for limit in group]
    expected = " and ".join(words)

    def limited(value: Any) -> Refusal | None:
        refusal = check(value)
        if refusal is not None and not refusal.place:
            joined = " of " if expected.startswith("at ") else " "
            both = expected if expected.startswith(refusal.expected) else f"{refusal.expected}{joined}{expected}"
            return refusal._replace(expected=both)
        if refusal is None:
            for test in tests:
                if not test(value):
                    return Refusal("", expected, value)
        return refusal

    return limited


def _one_of(allowed: tuple[Any, ...]) -> Check:
    *first, last = [str(each) or "''" for each in allowed]
    expected = f"{', '.join(first)} or {last}" if first else last

    def one_of(value: Any) -> Refusal | None:
        is_plain = value is None or isinstance(value, str | Integral)  # arrays cannot be compared
        fits = is_plain and any(value == each and isinstance(value, bool) == isinstance(each, bool) for each in allowed)
        return None if fits else Refusal("", expected, value, True)

    return one_of


def _any_of(checks: list[Check], is_optional: bool) -> Check:
    def any_of(value: Any) -> Refusal | None:
        if value is None and is_optional:
            return None
        refusals: list[Refusal] = []
        for check in checks:
            refusal = check(value)
            if refusal is None:
                return None
            refusals.append(refusal)
        # The alternative that fits the value's type to the greatest depth explains best.
        best = max(refusals, key=lambda each: (each.place.count("["), not each.is_kind))
        if best.place or not best.is_kind:
            return best
        return best._replace(expected=" or ".join(dict.fromkeys(each.expected for each in refusals)))

    return any_of


def _tuple_of(checks: list[Check], *, is_open: bool) -> Check:
    def tuple_of(values: Any) -> Refusal | None:
        if not isinstance(values, list | tuple):
            return Refusal("", "a list", values, True)
        if not is_open and len(values) != len(checks):
            return Refusal("", f"a list of {len(checks)}", values)
        for number, value in enumerate(values):
            refusal = checks[0 if is_open else number](value)
            if refusal is not None:
                return refusal._replace(place=f"[{number}]{refusal.place}")
        return None

    return tuple_of


def _values_of(check: Check, *, is_counted: bool) -> Check:
    """Return the check of a sequence, arrays included, or of any iterable, whose values are not checked."""
    needed = ("__len__", "__getitem__") if is_counted else ("__iter__",)

    def values_of(values: Any) -> Refusal | None:
        if isinstance(values, str | bytes | Mapping) or not all(hasattr(values, each) for each in needed):
            return Refusal("", "a list", values, True)
        if getattr(values, "ndim", 1) == 0:  # an array of one number has all methods of a list
            return Refusal("", "a list", values, True)
        for number, value in enumerate(values if is_counted else ()):
            refusal = check(value)
            if refusal is not None:
                return refusal._replace(place=f"[{number}]{refusal.place}")
        return None

    return values_of


def _mapping_of(name: Check = lambda _: None, check: Check = lambda _: None) -> Check:
    is_mapping = _kind(dict)

    def mapping_of(values: Any) -> Refusal | None:
        refusal = is_mapping(values)
        for key, value in {} if refusal else values.items():
            # YAML reads a name such as 1 as a number.
            refusal = (None if type(key) is int else name(key)) or check(value)
            if refusal is not None:
                return refusal._replace(place=f"[{key!r}]{refusal.place}")
        return refusal

    return mapping_of


def error_of(who: str, name: str, refusal: Refusal) -> InputError:
    """Return the error for a value of an argument or field that was refused."""
    return InputError(f"{who}: {name}{refusal.place} must be {refusal.expected}, got {_shown(refusal.value)}.")


def _shown(value: object) -> str:
    """Return a value for a message: named objects by their names, values longer than a line by their type."""
    names = [getattr(each, "name", None) for each in value] if isinstance(value, list | tuple) else []
    if names and all(isinstance(each, str) for each in names):
        return brief(", ".join(map(str, names)))
    if isinstance(value, type):
        return f"the class {value.__name__}"
    text = repr(value)
    is_short = len(text) <= MOST_SHOWN and "\n" not in text
    return brief(text) if isinstance(value, str) or is_short else type(value).__name__
