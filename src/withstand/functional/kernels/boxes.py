"""Box resizing of images in 8-bit arithmetic."""

from functools import lru_cache
from math import prod

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

_FIXED_POINT_BITS = 22


def shrink(
    levels: Float[Tensor, "*batch height width"], height: int, width: int
) -> Float[Tensor, "*batch {height} {width}"]:
    """Return images of a smaller size, each pixel the mean of the whole pixels whose centres lie in its box.

    The width is shrunk first and the result rounded to whole levels, then the height.

    Args:
        levels: Whole numbers from 0 to 255.
        height: New height, from a 64th of the present one to that itself, at least 1.
        width: New width, likewise.

    Returns:
        Whole numbers from 0 to 255, exactly those of Pillow's `Image.resize` with its BOX filter if that
        begins with the width. New releases do not for some tall images (pull request 9549, 2026), which then
        differ by a level here and there.

    Source:
        Pillow, src/libImaging/Resample.c: box filter, fixed-point weights with 22 bits, one pass per axis.

    Example:
        >>> shrink(torch.tensor([[0.0, 2.0, 10.0, 20.0]]), 1, 2)
        tensor([[ 1., 15.]])
    """
    return _shrink_rows(_shrink_rows(levels.mT, width).mT, height)


def grow(
    x: Float[Tensor, "*batch old_height old_width"],
    height: int,
    width: int,
    *,
    out: Float[Tensor, "*batch {height} {width}"] | None = None,
) -> Float[Tensor, "*batch {height} {width}"]:
    """Return images of a larger size, each pixel the one that its centre falls on.

    Args:
        x: Images of any values.
        height: New height, at least the present one.
        width: New width, likewise.
        out: Where the result goes; None makes a new tensor.

    Example:
        >>> grow(torch.tensor([[1.0, 2.0]]), 1, 5)
        tensor([[1., 1., 2., 2., 2.]])
    """
    rows, columns = _centres(height, x.shape[-2]).int(), _centres(width, x.shape[-1]).int()
    # Whole rows are copied last, which is fast.
    wide = x.index_select(-1, columns.to(x.device))
    return torch.index_select(wide, -2, rows.to(x.device), out=out)


def _shrink_rows(levels: Float[Tensor, "*batch old columns"], new: int) -> Float[Tensor, "*batch {new} columns"]:
    *batch, old, columns = levels.shape
    pixels, starts, weight = _bags(old, new, levels.device)
    image = torch.arange(prod(batch), device=levels.device)[:, None]
    total = nn.functional.embedding_bag(
        (pixels + old * image).flatten(),
        levels.reshape(-1, columns),
        (starts + len(pixels) * image).flatten(),
        mode="sum",
    )
    # Sums of whole numbers are exact in float32, and for boxes of up to 64 pixels so is the side of a half on which a
    # mean is.
    return total.view(*batch, new, columns).mul_(weight).add_(0.5).floor_()


@lru_cache(maxsize=16)
def _bags(
    old: int, new: int, device: torch.device
) -> tuple[Int[Tensor, " entries"], Int[Tensor, " {new}"], Float[Tensor, "{new} 1"]]:
    # The pixels of all boxes one after the other, where those of each begin, and the weight of each.
    inside = _boxes(old, new)
    counts = inside.sum(0)
    weight = (2.0**_FIXED_POINT_BITS / counts).add(0.5).floor() / 2.0**_FIXED_POINT_BITS
    pixels = inside.T.nonzero()[:, 1]
    return pixels.to(device), (counts.cumsum(0) - counts).to(device), weight[:, None].to(device)


def _boxes(old: int, new: int) -> Bool[Tensor, "{old} {new}"]:
    # A pixel counts if it passes two tests, which differ only by rounding where its centre lies on a border;
    # Pillow makes both. On the CPU in float64, so that the device does not decide.
    scale, pixel, centre = old / new, torch.arange(old)[:, None], _centres(new, old)
    within_bounds = (pixel >= (centre - 0.5 * scale + 0.5).int()) & (pixel < (centre + 0.5 * scale + 0.5).int())
    distance = (pixel - centre + 0.5) * (1 / scale)
    return within_bounds & (distance > -0.5) & (distance <= 0.5)


def _centres(new: int, old: int) -> Float[Tensor, " {new}"]:
    return (torch.arange(new, dtype=torch.float64) + 0.5) * (old / new)
