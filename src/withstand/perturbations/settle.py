"""From what a user wrote to what the data make of it."""

from collections.abc import Callable, Sequence
from dataclasses import fields, is_dataclass, replace
from typing import Any, TypeVar, cast

from withstand.data.base import Split
from withstand.errors import InputError
from withstand.perturbations.ball import Ball
from withstand.perturbations.base import Box

Anything = TypeVar("Anything")


def settled(configuration: Anything, split: Split) -> Anything:
    """Return the configuration for a split: its box, shape, units and what may change, where none was given.

    Args:
        configuration: A perturbation, or an objective or evaluation that holds some.
        split: Whose box, units and movable features count.

    Raises:
        InputError: If a ball does not fit the features, or has radii per row.
    """

    def rule(_: str, value: Any) -> Any:
        if not isinstance(value, Ball):
            return value
        if isinstance(value.radius, Sequence) and isinstance(value.radius[0], Sequence):
            raise InputError(
                "Ball: radius must be a number or one per feature where data are cut into batches, got radii per row."
            )
        features = split.features
        if features is None:
            return value
        return value.scaled(features.scale, features.iqr, features.movable, features.changes)

    known = fill_in(within(configuration, split.box), "shape", split.shape)
    movable = () if split.features is None else split.features.movable
    fixed = tuple(number for number, moves in enumerate(movable) if not moves)
    return rebuilt(fill_in(known, "fixed", fixed or None), rule)


def within(configuration: Anything, box: Box | None) -> Anything:
    """Return the configuration with every box that was left open (None) set to the data's own.

    Args:
        configuration: A perturbation, or an objective or evaluation that holds some.
        box: Lowest and highest value an input may have; None for data without bounds.

    Example:
        >>> from withstand.perturbations.gaussian import Gaussian
        >>> within(Gaussian(std=0.5), (0.0, 1.0)).box
        (0.0, 1.0)
    """
    return fill_in(configuration, "box", box)


def fill_in(configuration: Anything, field: str, value: Any) -> Anything:
    """Return the configuration with the value in every field of this name that was left open (None).

    Example:
        >>> from withstand.perturbations.attacks.tilted import Tilted
        >>> fill_in(Tilted(), "temperature", 0.5).temperature
        0.5
    """

    def rule(name: str, own: Any) -> Any:
        return value if name == field and own is None else own

    return configuration if value is None else rebuilt(configuration, rule)


def rebuilt(configuration: Anything, rule: Callable[[str, Any], Any]) -> Anything:
    """Return the configuration after a rule, from a field's name and value to its value, was applied within it."""
    if isinstance(configuration, tuple):
        return cast(Anything, tuple(rebuilt(each, rule) for each in configuration))
    if not is_dataclass(configuration) or isinstance(configuration, type):
        return configuration
    changes: dict[str, Any] = {}
    for each in fields(configuration):
        own = getattr(configuration, each.name)
        settled = rule(each.name, own)
        settled = rebuilt(own, rule) if settled is own else settled
        if settled is not own and settled != own:
            changes[each.name] = settled
    return replace(configuration, **changes) if changes else configuration
