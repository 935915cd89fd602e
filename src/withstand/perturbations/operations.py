"""Operations: what perturbations and objectives do to inputs, as each declares."""

from dataclasses import fields, is_dataclass
from typing import Any

from withstand.conditions import OPERATIONS, operations_of_corruption
from withstand.data.base import Split
from withstand.errors import InputError
from withstand.perturbations.base import Corruption

WORDS = (*OPERATIONS, "mixing", "attack", "entries")


def operations_of(value: Any) -> frozenset[str] | None:
    """Return the operations of a configuration and of all that it holds; None if one that it holds declares none.

    What has no attribute `operations` does nothing to inputs.

    Raises:
        InputError: If one declares something else than a set of `WORDS`.

    Example:
        >>> from withstand.perturbations.compose import Compose
        >>> sorted(operations_of([Compose()]))
        ['noise']
    """
    if isinstance(value, tuple | list):
        parts = [operations_of(each) for each in value]
    elif isinstance(value, Corruption) and value.operations is None:
        parts = [operations_of_corruption(value.published_name())]
    elif is_dataclass(value):
        held = [operations_of(getattr(value, each.name)) for each in fields(value)]
        parts = [_declared(value), *held]
    else:
        return frozenset()
    known = [each for each in parts if each is not None]
    return frozenset().union(*known) if len(known) == len(parts) else None


def _declared(value: Any) -> frozenset[str] | None:
    found = getattr(value, "operations", frozenset())
    if found is None or (isinstance(found, frozenset) and found <= {*WORDS}):
        return found
    raise InputError(
        f"{type(value).__name__}: operations must be a frozenset of {', '.join(WORDS[:-1])} or {WORDS[-1]}, got "
        f"{found!r}."
    )


def operations_of_training(objective: Any, augmented: Split | None, *, from_scratch: bool) -> list[str] | None:
    """Return the operations of a training, crops and flips included; None if they are not all known.

    Args:
        objective: The objective.
        augmented: The training samples, if the augmentation of the data set was on.
        from_scratch: Whether the training started from random weights.
    """
    found = operations_of(objective) if from_scratch else None
    own = {"geometry"} if augmented is not None and getattr(augmented, "augment", True) is not None else set()
    return None if found is None else sorted(found | own)
