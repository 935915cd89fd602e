"""Every limit that an annotation states is enforced, in every configuration: a value just outside is refused."""

import math
from collections.abc import Iterator
from dataclasses import MISSING, fields, replace
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import pytest
from annotated_types import Ge, GroupedMetadata, Gt, Le, Lt, MinLen

from withstand.configuration import discover
from withstand.data.base import Dataset
from withstand.errors import InputError
from withstand.evaluation.base import Evaluation
from withstand.experiment import Experiment
from withstand.limits import Distinct
from withstand.models.base import Model
from withstand.objectives.base import Objective
from withstand.perturbations.ball import Ball
from withstand.perturbations.base import Perturbation
from withstand.training.optimizers import Optimizer
from withstand.training.schedules import Schedule
from withstand.training.settings import Training

FAMILIES = (Perturbation, Objective, Evaluation, Dataset, Model, Optimizer, Schedule)
CLASSES = [*(cls for family in FAMILIES for cls in discover(family)), Ball, Training, Experiment]


def outside(hint: Any, good: object) -> Iterator[tuple[str, object, object]]:
    """Yield values that a type with limits rules out: the place of the wrong part, the value, and the wrong part.

    Args:
        hint: The type.
        good: A value that fits.
    """
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Annotated:
        base, *metadata = arguments
        limits = [limit for each in metadata for limit in (each if isinstance(each, GroupedMetadata) else (each,))]
        assert limits
        for limit in limits:
            wrong = just_outside(limit, good, whole=base is int)
            yield "", wrong, wrong
        if base in (int, float):
            yield from (("", wrong, wrong) for wrong in (True, "many", math.nan if base is float else 1.5))
        yield from outside(base, good)
    elif origin is Literal:
        yield "", "no such word", "no such word"
    elif origin in (Union, UnionType):
        for each in arguments:
            if each is not NoneType:
                yield from outside(each, good)
    elif origin is tuple:
        own = good if isinstance(good, tuple) else ()
        count = max(1, len(own)) if ... in arguments else len(arguments)
        for place in range(count):
            kind = arguments[0 if ... in arguments else place]
            for inner, value, wrong in outside(kind, own[place] if own else 1):
                values = list(own) if own else [1] * count
                values[place] = value
                yield f"[{place}]{inner}", tuple(values), wrong


def just_outside(limit: object, good: object, *, whole: bool) -> object:
    match limit:
        case Ge(ge=low):
            return low - 1 if whole else math.nextafter(low, -math.inf)
        case Gt(gt=low):
            return low
        case Le(le=high):
            return high + 1 if whole else math.nextafter(high, math.inf)
        case Lt(lt=high):
            return high
        case MinLen(min_length=length):
            return ((good if isinstance(good, tuple) else ()) * length)[: length - 1]
        case Distinct():
            return (good[0], good[0])
    raise AssertionError(limit)


def cases() -> Iterator[Any]:
    for cls in CLASSES:
        needed = {each.name: "some:some" for each in fields(cls) if each.default is each.default_factory is MISSING}
        hints = get_type_hints(cls, include_extras=True)
        for each in fields(cls):
            for place, value, wrong in outside(hints[each.name], getattr(cls(**needed), each.name)):
                yield pytest.param(
                    cls(**needed), each.name, place, value, wrong, id=f"{cls.__name__}-{each.name}-{value}"
                )


CASES = list(cases())


def test_there_are_limits_of_every_kind():
    assert len(CASES) > 400
    assert {type(each.values[0]) for each in CASES} >= {Ball, Training, Experiment}


@pytest.mark.parametrize(("configuration", "name", "place", "value", "wrong"), CASES)
def test_a_value_just_outside_is_refused_by_class_field_and_value(configuration, name, place, value, wrong):
    with pytest.raises(InputError) as refused:
        replace(configuration, **{name: value})
    message = str(refused.value)
    assert message.startswith(f"{type(configuration).__name__}: {name}{place} must be ")
    are_balls = isinstance(wrong, tuple) and wrong and all(isinstance(each, Ball) for each in wrong)
    shown = ", ".join(each.name for each in wrong) if are_balls else repr(wrong)
    assert message.endswith(f", got {shown}.")
    assert "\n" not in message
