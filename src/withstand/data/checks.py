"""Checks of inputs and labels."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from withstand.errors import InputError, brief

VALUES_AT_ONCE = 2**23


def check_plain(who: str, values: Any) -> None:
    """Reject arrays and tensors whose numbers are not all there: masked, sparse, nested or without storage.

    Raises:
        InputError: If it is one of these.

    Example:
        >>> check_plain("X", np.ma.masked_array([1.0, 2.0], mask=[False, True]))
        Traceback (most recent call last):
        withstand.errors.InputError: X must be a plain array or tensor, got a masked array; fill its gaps first.
    """
    came = ""
    if np.ma.is_masked(values):
        came = "a masked array; fill its gaps first"
    elif isinstance(values, Tensor):
        if values.is_nested or values.layout != torch.strided:
            kind = "nested" if values.is_nested else str(values.layout).removeprefix("torch.").strip("_")
            came = f"a tensor of the layout {kind}; make it dense first"
        elif values.device.type == "meta":
            came = "a tensor on the device meta, which holds no values"
    if came:
        raise InputError(f"{who} must be a plain array or tensor, got {came}.")


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
        InputError: If a value is not finite.
    """
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


def as_rows(rows: Tensor | Sequence[int], count: int) -> Tensor:
    """Return numbers of rows, or a mask, as numbers.

    Raises:
        InputError: If one is not below `count`, or is negative.
    """
    wanted = f"numbers from 0 to {count - 1}, or a mask of {count}"
    try:
        found = torch.as_tensor(rows).reshape(len(rows))
    except (TypeError, ValueError, RuntimeError) as problem:
        raise InputError(f"data: rows must be {wanted}, got {brief(rows)}.") from problem
    is_mask = found.dtype == torch.bool
    if len(found) != count if is_mask else len(found) and (found.is_floating_point() or found.is_complex()):
        came = str(found.dtype).removeprefix("torch.")
        raise InputError(f"data: rows must be {wanted}, got {len(found)} of {came}.")
    found = found.nonzero()[:, 0] if is_mask else found.long()
    if len(found) and not 0 <= int(found.min()) <= int(found.max()) < count:
        raise InputError(f"data: rows must be 0 to {count - 1}, got {int(found.min())} to {int(found.max())}.")
    return found


def as_plan(plan: Iterable[Tensor], count: int, *, bounds: bool = True) -> Iterator[Tensor]:
    """Yield the rows of each batch of a plan.

    Args:
        plan: Numbers of rows, or a mask, per batch.
        count: Number of rows that there are.
        bounds: Whether to check that the rows exist; this would wait for a GPU that holds them.

    Raises:
        InputError: If it is no plan, or a row does not exist.
    """
    if not isinstance(plan, Iterable):
        raise InputError(f"data: plan must be a list with the rows of each batch, got {brief(plan)}.")
    for rows in plan:
        is_plain = isinstance(rows, Tensor) and rows.dtype == torch.int64 and rows.ndim == 1
        yield rows if is_plain and not bounds else as_rows(rows, count)
