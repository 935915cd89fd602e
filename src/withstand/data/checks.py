"""Checks of inputs and labels."""

from collections.abc import Mapping, Sequence

from torch import Tensor

from withstand.errors import InputError, brief

VALUES_AT_ONCE = 2**23


def check_labels(y: Tensor, num_classes: int) -> None:
    """Reject labels outside 0, ..., num_classes - 1.

    Raises:
        InputError: If a label has no class.
    """
    wrong = y[(y < 0) | (y >= num_classes)]
    if len(wrong):
        raise InputError(f"data: labels must be 0 to {num_classes - 1}, got {int(wrong[0])}.")


def check_finite(
    x: Tensor, numbers: Sequence[int] | Tensor, *, who: str = "data", names: Mapping[int, str] | None = None
) -> None:
    """Reject NaN and infinite inputs; the message names the sample by its number.

    Raises:
        InputError: If a value is not finite, or there are none.
    """
    if x.is_meta:
        raise InputError(f"{who}: inputs must hold numbers, got tensors on the device meta, which hold none.")
    rows = max(1, VALUES_AT_ONCE // max(1, x[:1].numel()))
    if not x.is_floating_point() or all(part.isfinite().all() for part in x.split(rows)):
        return
    row = int((~x.isfinite()).flatten(1).any(1).nonzero()[0])
    found = "NaN" if x[row].isnan().any() else "an infinity"
    raise InputError(f"{who}: inputs must be finite numbers, got {found} in sample {named(int(numbers[row]), names)}.")


def named(number: int, names: Mapping[int, str] | None) -> str:
    """Return a sample's number, with its name if it has one.

    Example:
        >>> named(3, None), named(3, {3: "cat/1.png"})
        ('3', '3 (cat/1.png)')
    """
    name = (names or {}).get(number)
    return str(number) if name is None else f"{number} ({brief(name)})"
