"""Pixel shuffling of glass blur."""

from functools import lru_cache

import torch
from jaxtyping import Int
from torch import Tensor

from withstand.functional.tensors import Images


def copy_in_order(x: Images, choices: Int[Tensor, "batch iteration rows columns"], *, reach: int) -> Images:
    """Return images whose pixels were overwritten one after the other, each by one near by.

    It goes from right to left and from the bottom to the top, and again in every iteration. What a pixel is
    overwritten by may itself have been overwritten before. The borders stay: `reach` - 1 pixels at the bottom and on
    the right, `reach` + 1 at the top and on the left.

    Args:
        x: Images of any values.
        choices: For every pixel between the borders which one overwrites it: k is that k // (2 reach) - reach rows
            below and k % (2 reach) - reach columns to the right. From 0 to (2 reach)^2 - 1.
        reach: Largest distance along an axis, at least 1.

    Example:
        >>> x = torch.arange(5.0).expand(1, 1, 5, 5)
        >>> left, right = torch.tensor([[[[8]]]]), torch.tensor([[[[11]]]])
        >>> copy_in_order(x, right, reach=2)[0, 0, 3], copy_in_order(x, left, reach=2)[0, 0, 3]
        (tensor([0., 1., 2., 4., 4.]), tensor([0., 1., 2., 1., 4.]))
    """
    # A node is a pixel after some number of iterations, and points to the node that it is a copy of: one of the same
    # iteration if that was overwritten before, else one of the iteration before.
    batch, channels, height, width = x.shape
    iterations, pixels = choices.shape[1], batch * height * width
    pointers = torch.arange(-pixels, iterations * pixels, dtype=torch.int32, device=x.device)
    pointers[:pixels] += pixels
    rows, columns = slice(reach + 1, height - reach + 1), slice(reach + 1, width - reach + 1)
    between = pointers.reshape(iterations + 1, batch, height, width)[1:, :, rows, columns]
    steps = _steps(reach, width, pixels, x.device).index_select(0, choices.transpose(0, 1).flatten())
    between += steps.reshape(between.shape)
    sources = _follow(pointers, pixels, is_long=reach > 1)
    planes = x.transpose(0, 1)
    return planes.reshape(channels, pixels).index_select(1, sources).reshape(planes.shape).transpose(0, 1)


@lru_cache(maxsize=4)
def _steps(reach: int, width: int, pixels: int, device: torch.device) -> Int[Tensor, " choice"]:
    distance = torch.arange(-reach, reach, dtype=torch.int32)
    step = (distance[:, None] * width + distance).flatten()
    return torch.where(step > 0, step + pixels, step).to(device)


def _follow(pointers: Int[Tensor, " nodes"], pixels: int, *, is_long: bool) -> Int[Tensor, " {pixels}"]:
    # From the last nodes to the first, which point to themselves. Long paths are shortened first: three times
    # every node jumps to where its target points to.
    for _ in range(3 if is_long else 0):
        ends = torch.empty_like(pointers)
        ends[:pixels] = pointers[:pixels]
        torch.index_select(pointers, 0, pointers[pixels:], out=ends[pixels:])
        pointers = ends
    places = pointers[-pixels:]
    while pixels and places.max() >= pixels:
        places = pointers.index_select(0, places)
    return places
