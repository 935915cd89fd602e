"""Limits of fields and arguments: annotations, and the checks that enforce them."""

import inspect
from collections.abc import Callable
from dataclasses import fields
from functools import cache, wraps
from itertools import chain, repeat
from typing import Any, TypeVar, cast, get_type_hints

from withstand.limits.checks import Check, check_of, error_of
from withstand.limits.checks import Refusal as Refusal
from withstand.limits.rules import Distinct as Distinct
from withstand.limits.rules import DistinctNonEmpty as DistinctNonEmpty
from withstand.limits.rules import Location as Location
from withstand.limits.rules import NonEmpty as NonEmpty
from withstand.limits.rules import NonNegativeFloat as NonNegativeFloat
from withstand.limits.rules import NonNegativeInt as NonNegativeInt
from withstand.limits.rules import PositiveFloat as PositiveFloat
from withstand.limits.rules import PositiveInt as PositiveInt
from withstand.limits.rules import Probability as Probability
from withstand.limits.rules import Seed as Seed
from withstand.limits.rules import Share as Share
from withstand.limits.rules import Temperature as Temperature
from withstand.limits.rules import Within as Within
from withstand.limits.rules import Workers as Workers

Function = TypeVar("Function", bound=Callable[..., Any])


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
            raise error_of(type(configuration).__name__, name, refusal)


def checked(function: Function) -> Function:
    """Check the arguments of every call against their annotations, as `check_fields` does the fields of a dataclass.

    Defaults and arguments without an annotation, or with a quoted one, are not checked. The message begins with the
    name of the function, or with the class and name of a method.

    Example:
        >>> @checked
        ... def repeated(word: str, times: PositiveInt = 1) -> str:
        ...     return word * times
        >>> repeated("a", 2)
        'aa'
        >>> repeated("a", times=0)
        Traceback (most recent call last):
        withstand.errors.InputError: repeated: times must be at least 1, got 0.
    """
    by_place, by_name, further, others = _arguments(function)

    @wraps(function)
    def with_checks(*args: Any, **kwargs: Any) -> Any:
        for value, (name, check) in zip(args, chain(by_place, further), strict=False):
            if check is not None and (refusal := check(value)) is not None:
                raise error_of(_called(function, args), name, refusal)
        for name, value in kwargs.items():
            check = by_name.get(name, others)
            if check is not None and (refusal := check(value)) is not None:
                raise error_of(_called(function, args), name, refusal)
        return function(*args, **kwargs)

    vars(with_checks)["checks"] = by_name
    return cast(Function, with_checks)


def _arguments(function: Callable[..., Any]) -> tuple[Any, dict[str, Check | None], Any, Check | None]:
    """Return the checks by position and by name, and those of `*args` and `**kwargs`."""
    by_place, by_name = [], {}
    further, others = repeat(("", None), 0), None
    for name, each in inspect.signature(function).parameters.items():
        hint = each.annotation
        check = None if hint in (each.empty, Any) or isinstance(hint, str) else check_of(hint)
        if each.kind is each.VAR_POSITIONAL:
            further = repeat((name, check))
        elif each.kind is each.VAR_KEYWORD:
            others = check
        else:
            by_name[name] = check
            by_place += [] if each.kind is each.KEYWORD_ONLY else [(name, check)]
    return tuple(by_place), by_name, further, others


def _called(function: Callable[..., Any], args: tuple[Any, ...]) -> str:
    """Return the name of a function that was called, for a message."""
    owner, _, name = function.__qualname__.rpartition(".<locals>.")[-1].rpartition(".")
    if not owner:
        return name
    owner = args[0].__name__ if args and isinstance(args[0], type) else type(args[0]).__name__ if args else owner
    return owner if name in ("__init__", "__call__") else f"{owner}.{name}"


def refusal_of(hint: Any, value: object) -> Refusal | None:
    """Return why a value does not fit an annotation; None if it fits.

    Example:
        >>> refusal_of(PositiveInt, "x").expected, refusal_of(tuple[PositiveFloat, ...], [1.0, 0]).place
        ('a whole number of at least 1', '[1]')
    """
    return check_of(hint)(value)


@cache
def _checks(cls: type) -> tuple[tuple[str, Check], ...]:
    hints = get_type_hints(cls, include_extras=True)
    return tuple((each.name, check_of(hints[each.name])) for each in fields(cls))
