"""Conversion between floats and 8-bit levels."""

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor


def to_levels(x: Float[Tensor, "*shape"]) -> UInt8[Tensor, "*shape"]:
    """Return images in [0, 1] as whole levels from 0 to 255, floored as `floor_to_8_bits` does.

    Example:
        >>> to_levels(torch.tensor([0.0, 7 / 255, 7.9 / 255, 1.0]))
        tensor([  0,   7,   7, 255], dtype=torch.uint8)
    """
    return truncated(x.clamp(0, 1).mul_(255).add_(1e-3))


def floor_to_8_bits(x: Tensor, *, out: Tensor | None = None) -> Tensor:
    """Return images in [0, 1] floored to multiples of 1/255, as saving through `numpy.uint8` does.

    A thousandth of a level is added first, so that a value which is a level up to float32 rounding stays one.

    Args:
        x: The images.
        out: Where the result goes; None makes a new tensor.

    Example:
        >>> floor_to_8_bits(torch.tensor([0.0, 7 / 255, 7.9 / 255, 1.0])) * 255
        tensor([  0.,   7.,   7., 255.])
    """
    levels = torch.add(x.new_tensor(1e-3), x, alpha=255, out=out)
    return levels.floor_().clamp_(0, 255).div_(255)


def truncated(levels: Float[Tensor, "*shape"]) -> UInt8[Tensor, "*shape"]:
    """Return numbers from 0 to below 256 without their fractions, as uint8.

    Example:
        >>> truncated(torch.tensor([0.0, 7.9, 255.0]))
        tensor([  0,   7, 255], dtype=torch.uint8)
    """
    if levels.device.type == "cpu":  # numpy converts several times as fast
        return torch.from_numpy(levels.numpy().astype(np.uint8))
    return levels.to(torch.int16).to(torch.uint8)
