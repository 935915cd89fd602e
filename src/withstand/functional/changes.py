"""Changes: values that some inputs of a table may take together in place of their own, such as levels of a category."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from withstand.errors import InputError

Rows = Float[Tensor, "batch *feature"]


class Change(NamedTuple):
    """What a few inputs may become.

    Attributes:
        inputs: Their numbers.
        values: What they may be, together: one tuple per option, with a value for each of the inputs.
        added: Whether the values are added to a row's own. Otherwise they take the place of them, in rows that have one
            of the options already; other rows stay as they are.
    """

    inputs: tuple[int, ...]
    values: tuple[tuple[float, ...], ...]
    added: bool = False


def options(x: Rows, change: Change) -> Float[Tensor, "batch option input"]:
    """Return what the inputs of a change may be in each row; in a row that may not change, its own as every option.

    Raises:
        InputError: If the inputs are no rows of a table.

    Example:
        >>> options(torch.tensor([[1.0, 0.0, 0.3]]), Change((0, 1), ((1.0, 0.0), (0.0, 1.0))))
        tensor([[[1., 0.],
                 [0., 1.]]])
        >>> options(torch.tensor([[1.0, 0.0, 0.3]]), Change((2,), ((0.0,), (0.5,)), added=True))
        tensor([[[0.3000],
                 [0.8000]]])
    """
    if x.ndim != 2:
        raise InputError(f"Ball: changes are for rows of a table, got inputs of shape {tuple(x.shape)}.")
    own = x[:, change.inputs].unsqueeze(1)
    values = torch.tensor(change.values, dtype=x.dtype, device=x.device)
    if change.added:
        return own + values
    has_one = (own == values).all(2).any(1)
    return torch.where(has_one[:, None, None], values, own)


def put(points: Float[Tensor, "..."], x: Rows, change: Change, numbers: Int[Tensor, "*draw batch"]) -> None:
    """Set the inputs of a change in points around x to the options of these numbers."""
    points[..., change.inputs] = options(x, change)[torch.arange(len(x), device=x.device), numbers]


def nearest(x: Rows, point: Rows, change: Change) -> Int[Tensor, " batch"]:
    """Return the number of the option around x that is nearest to a point."""
    return (options(x, change) - point[:, change.inputs].unsqueeze(1)).square().sum(2).argmin(1)


def gains(x: Rows, gradient: Rows, change: Change) -> Float[Tensor, "batch option"]:
    """Return by how much a linear function with this gradient grows from x to each option."""
    away = options(x, change) - x[:, change.inputs].unsqueeze(1)
    return (away * gradient[:, change.inputs].unsqueeze(1)).sum(2)


def count(changes: Sequence[Change]) -> int:
    """Return how many combinations of options there are."""
    return torch.Size([len(each.values) for each in changes]).numel()
