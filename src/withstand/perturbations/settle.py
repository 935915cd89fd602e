"""From what a user wrote to what the data make of it."""

from typing import Any, TypeVar

from withstand.data.base import Split
from withstand.perturbations.ball import Ball
from withstand.perturbations.base import rebuilt, within

Anything = TypeVar("Anything")


def settled(configuration: Anything, split: Split) -> Anything:
    """Return the configuration for a split: its box where none was given, radii in the units of its inputs.

    Args:
        configuration: A perturbation, or an objective or evaluation that holds some.
        split: Whose box, units and movable features count.

    Raises:
        InputError: If a ball does not fit the features.
    """

    def rule(_: str, value: Any) -> Any:
        features = split.features
        if not isinstance(value, Ball) or features is None:
            return value
        return value.scaled(features.scale, features.iqr, features.movable)

    return rebuilt(within(configuration, split.box), rule)
