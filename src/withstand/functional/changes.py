"""Discrete changes of some inputs of a table, such as levels of a category."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from withstand.errors import InputError
from withstand.functional.tensors import Points

Box = tuple[float, float]


class Change(NamedTuple):
    """Allowed values of a few inputs.

    Attributes:
        inputs: Indices of the inputs.
        values: One tuple per option, with a value for each of the inputs.
        added: Whether the values are added to a row's own. Otherwise they replace them, in rows that have one of the
            options already; other rows do not change.
    """

    inputs: tuple[int, ...]
    values: tuple[tuple[float, ...], ...]
    added: bool = False


class Options(NamedTuple):
    """Allowed values of a few inputs around each row of a batch.

    Attributes:
        inputs: Indices of the inputs.
        own: Their present values.
        values: The options of each row.
    """

    inputs: tuple[int, ...]
    own: Float[Tensor, "batch input"]
    values: Float[Tensor, "batch option input"]

    def put(self, points: Float[Tensor, "*draw batch feature"], numbers: Int[Tensor, "*draw batch"]) -> None:
        """Set the inputs in points around the rows to the options of these numbers."""
        points[..., self.inputs] = self.values[torch.arange(len(self.own), device=points.device), numbers]

    def nearest(self, point: Float[Tensor, "batch feature"]) -> Int[Tensor, " batch"]:
        """Return the number of the option that is nearest to a point."""
        return (self.values - point[:, self.inputs].unsqueeze(1)).square().sum(2).argmin(1)

    def gains(self, gradient: Float[Tensor, "batch feature"]) -> Float[Tensor, "batch option"]:
        """Return by how much a linear function with this gradient grows from a row to each option."""
        return ((self.values - self.own.unsqueeze(1)) * gradient[:, self.inputs].unsqueeze(1)).sum(2)

    @property
    def num(self) -> int:
        """The number of options."""
        return self.values.shape[1]


def options(x: Points, change: Change, box: Box | None) -> Options:
    """Return the allowed values of a change in each row; rows that cannot change repeat their own value.

    Args:
        x: Rows of a table.
        change: The change.
        box: Lowest and highest value of an input: options outside are dropped.

    Raises:
        InputError: If the inputs are not rows of a table.

    Example:
        >>> options(torch.tensor([[1.0, 0.0, 0.3]]), Change((0, 1), ((1.0, 0.0), (0.0, 1.0))), None).values
        tensor([[[1., 0.],
                 [0., 1.]]])
        >>> options(torch.tensor([[1.0, 0.0, 0.3]]), Change((2,), ((0.0,), (0.5,)), added=True), None).values
        tensor([[[0.3000],
                 [0.8000]]])
    """
    check_rows(x)
    own = x[:, change.inputs]
    values = torch.tensor(change.values, dtype=x.dtype, device=x.device)
    whole = own.unsqueeze(1)
    values = whole + values if change.added else values.expand(len(x), -1, -1)
    allowed = torch.ones(values.shape[:2], dtype=torch.bool, device=x.device)
    if not change.added:
        allowed &= (whole == values).all(2).any(1, keepdim=True)
    if box is not None:
        allowed &= ((values >= box[0]) & (values <= box[1])).all(2)
    return Options(change.inputs, own, torch.where(allowed.unsqueeze(2), values, whole))


def check_rows(x: Tensor) -> None:
    """Reject inputs that are not rows of a table.

    Raises:
        InputError: If they do not have two axes.
    """
    if x.ndim != 2:
        raise InputError(f"Ball: changes are for rows of a table, got inputs of shape {tuple(x.shape)}.")


def count(changes: Sequence[Change]) -> int:
    """Return how many combinations of options there are."""
    return torch.Size([len(each.values) for each in changes]).numel()
