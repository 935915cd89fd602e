import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np
import pytest
from annotated_types import Ge, Interval, Le, MultipleOf

from withstand.errors import InputError
from withstand.evaluation.worst_case import WorstCase
from withstand.limits import (
    DistinctNonEmpty,
    NonEmpty,
    NonNegativeFloat,
    PositiveInt,
    Temperature,
    Within,
    check_fields,
)
from withstand.perturbations.ball import Ball


@dataclass(frozen=True, kw_only=True)
class Thing:
    count: PositiveInt = 1
    temperature: Temperature | None = None
    sizes: NonNegativeFloat | Annotated[tuple[NonNegativeFloat, ...], NonEmpty] = 0.5
    pair: tuple[PositiveInt, Literal["a", "b"]] = (1, "a")
    some: Annotated[tuple[int, ...], DistinctNonEmpty] = (1,)
    plain: Annotated[int, Ge(1), Le(3)] = 1
    grouped: Annotated[float, Interval(ge=0, lt=1)] = 0.5
    listed: Sequence[float] = ()
    other: object = None
    anything: Any = None

    def __post_init__(self) -> None:
        check_fields(self)


@pytest.mark.parametrize(
    "fields",
    [
        {"count": np.int64(3)},
        {"temperature": math.inf},
        {"sizes": (0, 1.5)},
        {"sizes": [0.0]},
        {"sizes": np.float32(0.5)},
        {"pair": (2, "b")},
        {"other": object()},
        {"grouped": 0},
    ],
)
def test_values_within_the_limits_are_accepted(fields):
    assert {name: getattr(Thing(**fields), name) for name in fields} == fields


@pytest.mark.parametrize(
    ("fields", "place", "value"),
    [
        ({"count": 1.0}, "count", "1.0"),
        ({"count": None}, "count", "None"),
        ({"temperature": math.nan}, "temperature", "nan"),
        ({"sizes": (0.5, -1)}, "sizes[1]", "-1"),
        ({"sizes": (0.5, (1.0,))}, "sizes[1]", "(1.0,)"),
        ({"sizes": ()}, "sizes", "()"),
        ({"sizes": "big"}, "sizes", "'big'"),
        ({"sizes": math.inf}, "sizes", "inf"),
        ({"listed": np.array(3.0)}, "listed", "array(3.)"),
        ({"pair": (1,)}, "pair", "(1,)"),
        ({"pair": (1, "c")}, "pair[1]", "'c'"),
        ({"some": (2, 2)}, "some", "(2, 2)"),
        ({"plain": 4}, "plain", "4"),
        ({"grouped": 1.0}, "grouped", "1.0"),
        ({"pair": (1, np.zeros(2))}, "pair[1]", "array([0., 0.])"),
    ],
)
def test_others_are_refused_by_class_place_and_value(fields, place, value):
    with pytest.raises(InputError) as refused:
        assert {name: getattr(Thing(**fields), name) for name in fields} == fields
    message = str(refused.value)
    assert message.startswith(f"Thing: {place} must be ")
    assert message.endswith(f", got {value}.")


def test_the_message_of_a_union_names_the_kinds_it_takes():
    with pytest.raises(InputError, match=r"must be a number of at least 0 .*or a list .*, got 'big'"):
        Thing(sizes="big")


@pytest.mark.parametrize(("some", "missed"), [((), "a list of at least 1 element"), ((2, 2), "without duplicates")])
def test_limits_of_a_tuple_are_named(some, missed):
    with pytest.raises(InputError) as refused:
        Thing(some=some)
    assert missed in str(refused.value)


def test_objects_with_names_are_shown_by_them():
    with pytest.raises(InputError, match=r"without duplicates, got linf 0\.1, linf 0\.1\.$"):
        WorstCase(balls=(Ball("linf", 0.1), Ball("linf", 0.1)))


def test_a_limit_that_is_not_enforced_is_an_error_of_the_class():
    @dataclass(frozen=True)
    class Odd:
        size: Annotated[int, Within(MultipleOf(2))] = 2

    with pytest.raises(TypeError, match="not supported"):
        check_fields(Odd())
