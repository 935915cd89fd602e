"""Batches in pieces that fit a CPU's cache."""

from collections.abc import Iterator

from torch import Tensor


def pieces(rows: int, *tensors: Tensor) -> Iterator[tuple[Tensor, ...]]:
    """Yield rows of several tensors together: on a CPU this many at a time, at least 1; elsewhere all at once.

    Example:
        >>> import torch
        >>> [len(part) for (part,) in pieces(2, torch.zeros(5, 3))]
        [2, 2, 1]
    """
    rows = max(1, rows if tensors[0].device.type == "cpu" else len(tensors[0]))
    return zip(*(each.split(rows) for each in tensors), strict=True)
