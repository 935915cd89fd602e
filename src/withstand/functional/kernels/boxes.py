"""Shrinking by means of boxes and growing by repetition, in the arithmetic of 8 bits."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

_FIXED_POINT_BITS = 22


def shrink(
    levels: Float[Tensor, "*batch height width"], height: int, width: int
) -> Float[Tensor, "*batch {height} {width}"]:
    """Return images of a smaller size, each pixel the mean of the whole pixels whose centres lie in its box.

    The width is shrunk first and the result rounded to whole levels, then the height.

    Args:
        levels: Whole numbers from 0 to 255.
        height: New height, from 1 to the present one.
        width: New width, from 1 to the present one.

    Returns:
        Whole numbers from 0 to 255, exactly those of Pillow's `Image.resize` with its BOX filter where that
        begins with the width. New releases do not for some tall images (pull request 9549, 2026), which then
        differ by a level here and there.

    Source:
        Pillow, src/libImaging/Resample.c: box filter, fixed-point weights with 22 bits, one pass per axis.

    Example:
        >>> shrink(torch.tensor([[0.0, 2.0, 10.0, 20.0]]), 1, 2)
        tensor([[ 1., 15.]])
    """
    return _shrink_last(_shrink_last(levels, width).mT, height).mT


def grow(x: Float[Tensor, "*batch height width"], height: int, width: int) -> Float[Tensor, "*batch {height} {width}"]:
    """Return images of a larger size, each pixel the one that its centre falls on.

    Example:
        >>> grow(torch.tensor([[1.0, 2.0]]), 1, 5)
        tensor([[1., 1., 2., 2., 2.]])
    """
    rows, columns = _centres(height, x.shape[-2]).int(), _centres(width, x.shape[-1]).int()
    return x.index_select(-2, rows.to(x.device)).index_select(-1, columns.to(x.device))


def _shrink_last(levels: Float[Tensor, "*batch old"], new: int) -> Float[Tensor, "*batch new"]:
    inside = _boxes(levels.shape[-1], new)
    # Sums of whole numbers are exact in float32; the product with the weight stays below 2^31.
    total = (levels @ inside.to(levels)).int()
    weight = (2.0**_FIXED_POINT_BITS / inside.sum(0) + 0.5).int().to(levels.device)
    rounded = total.mul_(weight).add_(1 << (_FIXED_POINT_BITS - 1)).bitwise_right_shift_(_FIXED_POINT_BITS)
    return rounded.to(levels.dtype)


def _boxes(old: int, new: int) -> Bool[Tensor, "{old} {new}"]:
    # A pixel counts if it passes two tests, which differ only by rounding where its centre lies on a border;
    # Pillow makes both. On the CPU in float64, so that the device does not decide.
    scale, pixel, centre = old / new, torch.arange(old)[:, None], _centres(new, old)
    within_bounds = (pixel >= (centre - 0.5 * scale + 0.5).int()) & (pixel < (centre + 0.5 * scale + 0.5).int())
    distance = (pixel - centre + 0.5) * (1 / scale)
    return within_bounds & (distance > -0.5) & (distance <= 0.5)


def _centres(new: int, old: int) -> Float[Tensor, " {new}"]:
    return (torch.arange(new, dtype=torch.float64) + 0.5) * (old / new)
