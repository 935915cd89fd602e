"""Limits of configuration fields: annotations, and the check that enforces them."""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields
from functools import cache
from numbers import Integral, Real
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, NamedTuple, Union, get_args, get_origin, get_type_hints

from annotated_types import BaseMetadata, Ge, GroupedMetadata, Gt, Le, Lt, MinLen

from withstand.errors import InputError, brief


class Within(GroupedMetadata):
    """Several limits of annotated-types; shown as text by help texts and errors.

    jsonargparse prints the metadata of a type, and passes those of annotated-types to pydantic if it is installed.

    Example:
        >>> Within(Ge(0), Lt(1)), Within(Gt(0), Lt(math.inf)), Within(Ge(1), Le(95))
        (at least 0 and below 1, above 0 and finite, from 1 to 95)
    """

    def __init__(self, *limits: Any) -> None:
        """Keep the limits."""
        self.limits = limits

    def __iter__(self) -> Iterator[Any]:
        return iter(self.limits)

    def __repr__(self) -> str:
        match self.limits:
            case (Ge(ge=low), Le(le=high)):
                return f"from {low:,} to {high:,}"
            case _:
                return " and ".join(_rule(each)[0] for each in self.limits)


class Distinct(BaseMetadata):
    """Limit of a tuple: no two values are equal."""


LARGEST = 1 << 63  # whole numbers are below: they end in tensors and Parquet files

NonNegativeInt = Annotated[int, Within(Ge(0))]
PositiveInt = Annotated[int, Within(Ge(1))]
NonNegativeFloat = Annotated[float, Within(Ge(0), Lt(math.inf))]
PositiveFloat = Annotated[float, Within(Gt(0), Lt(math.inf))]
Share = Annotated[float, Within(Ge(0), Lt(1))]  # of a whole of which something must be left
Temperature = Annotated[float, Within(Ge(0))]  # in nats; may be infinite
NonEmpty = Within(MinLen(1))  # of a tuple
DistinctNonEmpty = Within(MinLen(1), Distinct())  # of a tuple


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


def check_fields(configuration: Any) -> None:
    """Reject a dataclass with a field whose value does not fit its annotation.

    Types, the values of literals, and the limits in `Annotated` are checked, including those of the members of a tuple.
    Neither a bool nor NaN is accepted as a number.

    Raises:
        InputError: If a value does not fit; the message names class, field, what is expected and the value.
    """
    for name, check in _checks(type(configuration)):
        refusal = check(getattr(configuration, name))
        if refusal is not None:
            who, place = type(configuration).__name__, name + refusal.place
            raise InputError(f"{who}: {place} must be {refusal.expected}, got {_shown(refusal.value)}.")


def _shown(value: object) -> str:
    """Return a value for a message; objects with a name by their names."""
    names = [getattr(each, "name", None) for each in value] if isinstance(value, list | tuple) else []
    if names and all(isinstance(each, str) for each in names):
        return brief(", ".join(map(str, names)))
    return brief(repr(value) if isinstance(value, str) else value)


def refusal_of(hint: Any, value: object) -> Refusal | None:
    """Return why a value does not fit an annotation; None if it fits.

    Example:
        >>> refusal_of(PositiveInt, "x").expected, refusal_of(tuple[PositiveFloat, ...], [1.0, 0]).place
        ('a whole number of at least 1', '[1]')
    """
    return _check_of(hint)(value)


@cache
def _checks(cls: type) -> tuple[tuple[str, Check], ...]:
    hints = get_type_hints(cls, include_extras=True)
    return tuple((each.name, _check_of(hints[each.name])) for each in fields(cls))


def _check_of(hint: Any) -> Check:
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return _limited(_check_of(arguments[0]), arguments[1:])
    if origin is Literal:
        return _one_of(arguments)
    if origin in (Union, UnionType):
        return _any_of([_check_of(each) for each in arguments if each is not NoneType], NoneType in arguments)
    if origin is tuple:
        return _tuple_of([_check_of(each) for each in arguments if each is not ...], is_open=... in arguments)
    return _kind(dict if origin in (dict, Mapping) else hint)


def _kind(hint: Any) -> Check:
    known: dict[Any, tuple[str, Callable[[Any], bool]]] = {
        int: ("a whole number", lambda value: isinstance(value, Integral) and not isinstance(value, bool)),
        float: ("a number", _is_number),
        bool: ("true or false", lambda value: isinstance(value, bool)),
        str: ("a text", lambda value: isinstance(value, str)),
        dict: ("values by name", lambda value: isinstance(value, Mapping)),
    }
    if hint in known:
        expected, fits = known[hint]
    elif hint is not Any and isinstance(hint, type) and not getattr(hint, "_is_protocol", False):
        expected, fits = f"an instance of {hint.__name__}", lambda value: isinstance(value, hint)
    else:
        return lambda _: None

    def kind(value: Any) -> Refusal | None:
        if not fits(value):
            return Refusal("", expected, value, True)
        is_long = hint is int and not -LARGEST <= value < LARGEST
        return Refusal("", f"{expected} (64 bits)", value, True) if is_long else None

    return kind


def _is_number(value: object) -> bool:
    if not isinstance(value, Real) or isinstance(value, bool):
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
            tests += [_rule(limit)[1] for limit in group]
    expected = " and ".join(words)

    def limited(value: Any) -> Refusal | None:
        refusal = check(value)
        if refusal is not None and not refusal.place:
            joined = " of " if expected.startswith("at ") else " "
            both = expected if expected.startswith(refusal.expected) else f"{refusal.expected}{joined}{expected}"
            return refusal._replace(expected=both)
        if refusal is None and not all(test(value) for test in tests):
            return Refusal("", expected, value)
        return refusal

    return limited


def _one_of(allowed: tuple[Any, ...]) -> Check:
    *first, last = map(str, allowed)
    expected = f"{', '.join(first)} or {last}" if first else last

    def one_of(value: Any) -> Refusal | None:
        fits = any(value == each and isinstance(value, bool) == isinstance(each, bool) for each in allowed)
        return None if fits and not isinstance(value, float) else Refusal("", expected, value, True)

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


def _rule(limit: BaseMetadata) -> tuple[str, Callable[[Any], bool]]:
    """Return a limit as text and as a test."""
    match limit:
        case Ge(ge=low):
            return f"at least {low:,}", lambda value: value >= low
        case Gt(gt=low):
            return f"above {low:,}", lambda value: value > low
        case Le(le=high):
            return f"at most {high:,}", lambda value: value <= high
        case Lt(lt=high):
            return "finite" if high == math.inf else f"below {high:,}", lambda value: value < high
        case MinLen(min_length=length):
            elements = "element" if length == 1 else "elements"
            return f"a list of at least {length} {elements}", lambda value: len(value) >= length
        case Distinct():
            return "without duplicates", lambda value: len(set(value)) == len(value)
    raise TypeError(f"limits: {limit!r} is not supported; use Ge, Gt, Le, Lt, MinLen or Distinct.")
