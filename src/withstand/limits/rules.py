"""Limits in annotations, their descriptions and predicates."""

import errno
import math
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any

from annotated_types import BaseMetadata, Ge, GroupedMetadata, Gt, Le, Lt, MinLen


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
                return " and ".join(rule_of(each)[0] for each in self.limits)


class Distinct(BaseMetadata):
    """Limit of a tuple: no two values are equal."""


class Nameable(BaseMetadata):
    """Limit of a path: something can be there. No name is too long, and none has a NUL or half a character."""


NonNegativeInt = Annotated[int, Within(Ge(0))]
PositiveInt = Annotated[int, Within(Ge(1))]
Workers = Annotated[int, Within(Ge(0), Le(1024))]  # processes; more than machines have cores, which is a slip
Seed = Annotated[int, Within(Ge(0), Lt(2**63))]  # larger ones would not be distinct
NonNegativeFloat = Annotated[float, Within(Ge(0), Lt(math.inf))]
PositiveFloat = Annotated[float, Within(Gt(0), Lt(math.inf))]
Share = Annotated[float, Within(Ge(0), Lt(1))]  # of a whole, some of which must remain
Probability = Annotated[float, Within(Ge(0), Le(1))]
Temperature = Annotated[float, Within(Ge(0))]  # in nats; may be infinite
NonEmpty = Within(MinLen(1))  # of a tuple
DistinctNonEmpty = Within(MinLen(1), Distinct())  # of a tuple
Location = Annotated[str | Path, Within(Nameable())]  # of a file or folder that need not exist


def rule_of(limit: BaseMetadata) -> tuple[str, Callable[[Any], bool]]:
    """Return the description of a limit and its predicate."""
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
        case Nameable():
            return "a text or a path that the file system allows", _is_nameable
    raise TypeError(f"limits: {limit!r} is not supported; use Ge, Gt, Le, Lt, MinLen, Distinct or Nameable.")


def _is_nameable(path: str | Path) -> bool:
    try:
        os.lstat(path)
    except OSError as problem:
        return problem.errno != errno.ENAMETOOLONG
    except ValueError:
        return False
    return True
