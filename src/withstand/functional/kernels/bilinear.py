"""Bilinear resizing of images in 8 bits."""

import torch
from jaxtyping import Int, UInt8
from torch import Tensor

_WEIGHT_BITS = 11


def resize(
    levels: UInt8[Tensor, "channel height width"], factor: float
) -> UInt8[Tensor, "channel new_height new_width"]:
    """Return an image with sides multiplied by a factor, from four pixels each, without antialiasing.

    Args:
        levels: The image.
        factor: Above 0; the new sides are rounded to whole pixels, half-way cases to even numbers.

    Returns:
        `cv2.resize(image, (0, 0), fx=factor, fy=factor)`.

    Source:
        OpenCV, modules/imgproc/src/resize.cpp: linear interpolation of 8 bits with weights of 11 bits.

    Example:
        >>> resize(torch.tensor([[[0, 10, 20, 30]]], dtype=torch.uint8), 0.5)
        tensor([[[ 5, 25]]], dtype=torch.uint8)
    """
    height, width = levels.shape[-2:]
    new_height, new_width = max(1, round(height * factor)), max(1, round(width * factor))
    (left, right), (left_weight, right_weight) = _neighbours(width, new_width, factor)
    (above, below), (above_weight, below_weight) = _neighbours(height, new_height, factor)
    whole = levels.int()
    across = (whole[..., left] * left_weight + whole[..., right] * right_weight).bitwise_right_shift_(4)
    top = (across[..., above, :] * above_weight[:, None]).bitwise_right_shift_(16)
    bottom = (across[..., below, :] * below_weight[:, None]).bitwise_right_shift_(16)
    return ((top + bottom + 2) >> 2).to(torch.uint8)


def _neighbours(
    old: int, new: int, factor: float
) -> tuple[tuple[Int[Tensor, " new"], Int[Tensor, " new"]], tuple[Int[Tensor, " new"], Int[Tensor, " new"]]]:
    # The two pixels between which each new one lies, and their weights.
    place = ((torch.arange(new, dtype=torch.float64) + 0.5) * (1 / factor) - 0.5).float().clamp(0, old - 1)
    first = place.floor()
    share = place - first
    weights = tuple((each * 2**_WEIGHT_BITS).round().int() for each in (1 - share, share))
    return (first.long(), (first.long() + 1).clamp(max=old - 1)), (weights[0], weights[1])
