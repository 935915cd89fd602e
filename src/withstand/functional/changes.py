"""Changes: values that some inputs of a table may take together in place of their own, such as levels of a category."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from withstand.errors import InputError
from withstand.functional.tensors import Points

Box = tuple[float, float]


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


class Options(NamedTuple):
    """What a few inputs may become around each row of a batch.

    Attributes:
        inputs: Their numbers.
        own: What they are.
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
    """Return what the inputs of a change may be in each row; where that is nothing else, their own as every option.

    Args:
        x: Rows of a table.
        change: The change.
        box: Lowest and highest value of an input: what lies outside is no option.

    Raises:
        InputError: If the inputs are no rows of a table.

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
    """Refuse inputs that are no rows of a table.

    Raises:
        InputError: If they have not two axes.
    """
    if x.ndim != 2:
        raise InputError(f"Ball: changes are for rows of a table, got inputs of shape {tuple(x.shape)}.")


def count(changes: Sequence[Change]) -> int:
    """Return how many combinations of options there are."""
    return torch.Size([len(each.values) for each in changes]).numel()
