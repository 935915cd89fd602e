"""Shrinking by means of boxes and growing by repetition, in the arithmetic of 8 bits."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

_FIXED_POINT_BITS = 22


def shrink(
    levels: Float[Tensor, "*batch height width"], height: int, width: int
) -> Float[Tensor, "*batch {height} {width}"]:
    """Return images of a smaller size, each pixel the mean of the whole pixels whose centres lie in its box.

    The rows are shrunk first and rounded to whole levels, then the columns.

    Args:
        levels: Whole numbers from 0 to 255.
        height: New height, from 1 to the present one.
        width: New width, from 1 to the present one.

    Returns:
        Whole numbers from 0 to 255, exactly those of Pillow's `Image.resize` with its BOX filter.

    Source:
        Pillow, src/libImaging/Resample.c: box filter, fixed-point weights with 22 bits, one pass per axis.

    Example:
        >>> shrink(torch.tensor([[0.0, 2.0, 10.0, 20.0]]), 1, 2)
        tensor([[ 1., 15.]])
    """
    return _shrink_last(_shrink_last(levels, width).mT, height).mT


def grow(
    x: Float[Tensor, "*batch height width"], height: int, width: int
) -> Float[Tensor, "*batch {height} {width}"]:
    """Return images of a larger size, each pixel the one that its centre falls on.

    Example:
        >>> grow(torch.tensor([[1.0, 2.0]]), 1, 5)
        tensor([[1., 1., 2., 2., 2.]])
    """
    rows, columns = _centres(height, x.shape[-2], x.device), _centres(width, x.shape[-1], x.device)
    return x.index_select(-2, rows.int()).index_select(-1, columns.int())


def _shrink_last(levels: Float[Tensor, "*batch old"], new: int) -> Float[Tensor, "*batch new"]:
    old = levels.shape[-1]
    distance = torch.arange(old, device=levels.device)[:, None] - _centres(new, old, levels.device) + 0.5
    inside = (distance * (new / old) > -0.5) & (distance * (new / old) <= 0.5)
    # Sums of whole numbers are exact in float32; the product with the weight stays below 2^31.
    total = (levels @ inside.to(levels.dtype)).int()
    weight = (2.0**_FIXED_POINT_BITS / inside.sum(0) + 0.5).int()
    rounded = total.mul_(weight).add_(1 << (_FIXED_POINT_BITS - 1)).bitwise_right_shift_(_FIXED_POINT_BITS)
    return rounded.to(levels.dtype)


def _centres(new: int, old: int, device: torch.device) -> Float[Tensor, " new"]:
    # Worked out in float64 on the CPU: which side of a border a centre lies on must not depend on the device.
    return ((torch.arange(new, dtype=torch.float64) + 0.5) * (old / new)).to(device)
