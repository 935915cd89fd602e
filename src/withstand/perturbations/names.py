"""Names of perturbations: short ones for conditions, complete ones for random numbers."""

from collections.abc import Callable, Iterable
from dataclasses import fields, is_dataclass
from typing import Any

from withstand.perturbations.ball import Ball


def full_name(value: Any) -> str:
    """Return a configuration as text with every field.

    Example:
        >>> from withstand.perturbations.uniform import Uniform
        >>> full_name(Uniform(ball=Ball("linf", 0.1)))
        'Uniform ball=Ball norm=linf radius=0.1 unit=std'
    """
    return _text(value, full_name)


def short_name(value: Any, *, counted: str = "") -> str:
    """Return a configuration as text: in a ball the ball, the class and the fields that differ from their defaults.

    Args:
        value: A perturbation.
        counted: Field whose value is shown behind the class.

    Example:
        >>> from withstand.perturbations.attacks.pgd import PGD
        >>> short_name(PGD(ball=Ball("linf", 0.1), reach=1.0), counted="steps")
        'linf 0.1, PGD-10 reach=1'
    """
    if not _is_in_ball(value):
        return _text(value, lambda each: f"({each.condition})" if _is_in_ball(each) else short_name(each))
    method = type(value).__name__ + (f"-{getattr(value, counted)}" if counted else "")
    return " ".join([f"{value.ball.name},", method, *_changes(value, ("ball", counted), full_name)])


def changed_name(value: Any) -> str:
    """Return a configuration as text: the class and the fields that differ from their defaults.

    Example:
        >>> from withstand.perturbations.gaussian import Gaussian
        >>> changed_name(Gaussian()), changed_name(Gaussian(std=0.25))
        ('Gaussian', 'Gaussian std=0.25')
    """
    return " ".join([type(value).__name__, *_changes(value, (), short_name)])


def _is_in_ball(value: Any) -> bool:
    return isinstance(getattr(value, "ball", None), Ball)


def _text(value: Any, text_of: Callable[[Any], str]) -> str:
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(text_of, value)) + "]"
    if not is_dataclass(value) or isinstance(value, type):
        return f"{value:.9g}" if isinstance(value, float) else str(value)
    return " ".join([type(value).__name__, *_assignments(value, [each.name for each in fields(value)], text_of)])


def _changes(value: Any, left_out: Iterable[str], text_of: Callable[[Any], str]) -> list[str]:
    rest = [each for each in fields(value) if each.name not in left_out]
    return _assignments(value, [each.name for each in rest if getattr(value, each.name) != each.default], text_of)


def _assignments(value: Any, names: Iterable[str], text_of: Callable[[Any], str]) -> list[str]:
    held = {name: getattr(value, name) for name in names}
    return [f"{name}={text_of(each)}" for name, each in held.items() if each is not None]
