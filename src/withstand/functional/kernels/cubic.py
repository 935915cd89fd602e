"""Cubic resizing of a part of an image in 8 bits."""

import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor

_A = -0.75  # slope of the kernel at distance 1, as in OpenCV


def resized_crop(
    levels: UInt8[Tensor, "channel height width"], size: tuple[int, int], rows: range, columns: range
) -> UInt8[Tensor, "channel rows columns"]:
    """Return a crop of a resized image, from 16 pixels each, without antialiasing; only the crop is computed.

    Args:
        levels: The image; fast if its columns, not its rows, are contiguous in memory.
        size: Height and width of the whole resized image.
        rows: Rows of the crop, in the resized image.
        columns: Columns of the crop, likewise.

    Returns:
        The crop of `cv2.resize(image, (width, height), interpolation=cv2.INTER_CUBIC)`, up to one level.

    Source:
        OpenCV, modules/imgproc/src/resize.cpp, `interpolateCubic`.
        Differs: weights are not rounded to 11 bits.

    Example:
        >>> resized_crop(torch.tensor([[[0, 40, 200]]], dtype=torch.uint8), (1, 6), range(1), range(2, 5))
        tensor([[[ 14,  80, 165]]], dtype=torch.uint8)
    """
    down, down_weights = _taps(levels.shape[-2], size[0], rows)
    across, across_weights = _taps(levels.shape[-1], size[1], columns)
    first, last = int(down.min()), int(down.max()) + 1
    # Whole rows are picked fast, so the columns are made from the transposed image.
    part = _weighted(levels[:, first:last].mT.float(), across, across_weights).mT.contiguous()
    return _weighted(part, down - first, down_weights).round_().clamp_(0, 255).to(torch.uint8)


def _taps(old: int, new: int, made: range) -> tuple[Int[Tensor, "4 made"], Float[Tensor, "4 made"]]:
    # The four pixels that each new one is made from, and their weights.
    place = (torch.arange(made.start, made.stop, dtype=torch.float64) + 0.5) * (old / new) - 0.5
    first = place.floor()
    pixels = torch.stack([first + offset for offset in (-1, 0, 1, 2)])
    apart = (place - pixels).abs()
    near = ((_A + 2) * apart - (_A + 3)) * apart**2 + 1
    far = ((apart - 5) * apart + 8) * apart * _A - 4 * _A
    return pixels.clamp(0, old - 1).long(), torch.where(apart <= 1, near, far).float()


def _weighted(
    x: Float[Tensor, "channel old other"], pixels: Int[Tensor, "4 new"], weights: Float[Tensor, "4 new"]
) -> Float[Tensor, "channel new other"]:
    total = x.index_select(1, pixels[0]).mul_(weights[0, :, None])
    for own, weight in zip(pixels[1:], weights[1:, :, None], strict=True):
        total.addcmul_(x.index_select(1, own), weight)
    return total
