"""Pixel shuffling of glass blurs."""

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


def exchange_in_order(x: Images, choices: Int[Tensor, "batch iteration rows columns"]) -> Images:
    """Return images whose pixels were exchanged one after the other, each with one of three neighbours or none.

    It goes from right to left and from the bottom to the top, and again in every iteration. The first two rows and
    columns are not chosen, but may be a neighbour.

    Args:
        x: Images of any values.
        choices: For every other pixel 0 for the one above and to the left, 1 for the one above, 2 for the one to the
            left, 3 for none.

    Example:
        >>> x = torch.arange(4.0).expand(1, 1, 4, 4)
        >>> exchange_in_order(x, torch.full((1, 1, 2, 2), 2))[0, 0]
        tensor([[0., 1., 2., 3.],
                [0., 1., 2., 3.],
                [0., 3., 1., 2.],
                [0., 3., 1., 2.]])
    """
    batch, _, height, width = x.shape
    sources = torch.arange(height * width, device=x.device).repeat(batch, 1)
    steps = torch.tensor([-width - 1, -width, -1, 0], device=x.device)
    for own in choices.unbind(1):
        # Pixels a knight's move apart, like (h, w) and (h - 1, w + 2), have no neighbour in common.
        for wave in range(2 * height + width - 3, 5, -1):
            row = torch.arange(max(2, (wave - width + 2) // 2), min(height - 1, (wave - 2) // 2) + 1, device=x.device)
            here = (row * width + wave - 2 * row).expand(batch, -1)
            there = here + steps[own[:, row - 2, wave - 2 * row - 2]]
            one, other = sources.gather(1, here), sources.gather(1, there)
            sources.scatter_(1, there, one).scatter_(1, here, other)
    return x.flatten(2).gather(2, sources[:, None].expand(-1, x.shape[1], -1)).view(x.shape)


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
