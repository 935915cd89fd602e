"""Random crops and flips of batches of images in memory."""

import torch
from jaxtyping import Int, UInt8
from torch import Tensor
from torch.nn.functional import pad

from withstand.functional.random import derive_seed

PADDING = 4  # pixels


def crop_and_flip(
    x: UInt8[Tensor, "batch channel height width"], numbers: Int[Tensor, " batch"], seed: int
) -> UInt8[Tensor, "batch channel height width"]:
    """Pad with black, crop to the original size at a random place, and flip horizontally with probability 1/2.

    Args:
        x: Images.
        numbers: Number of each image in its data set, which determines its augmentation together with the seed.
        seed: Seed of the augmentation.

    Returns:
        Images, the same on every device and in every batch.

    Source:
        He et al. 2016, arXiv 1512.03385, section 4.2: 4 pixels on each side, 32 x 32 crops, horizontal flips.

    Example:
        >>> crop_and_flip(torch.zeros(2, 3, 32, 32, dtype=torch.uint8), torch.arange(2), 0).shape
        torch.Size([2, 3, 32, 32])
    """
    height, width = x.shape[-2:]
    bits = _scramble(numbers, derive_seed(seed, "data/crop and flip"))
    choices = 2 * PADDING + 1
    top, left = (((bits >> shift) & 0xFFFF) * choices >> 16 for shift in (16, 32))
    columns = torch.arange(width, device=x.device).expand(len(x), width)
    columns = torch.where((bits & 1).bool()[:, None], columns.flip(1), columns) + left[:, None]
    rows = torch.arange(height, device=x.device) + top[:, None]
    padded = pad(x, [PADDING] * 4)
    image = torch.arange(len(x), device=x.device)[:, None, None, None]
    channel = torch.arange(x.shape[1], device=x.device)[None, :, None, None]
    return padded[image, channel, rows[:, None, :, None], columns[:, None, None, :]]


def _scramble(numbers: Int[Tensor, " batch"], base: int) -> Int[Tensor, " batch"]:
    """Return 48 random bits per number: splitmix64 (Steele, Lea, Flood 2014) in wrapping 64-bit integers."""
    z = numbers * _signed(0x9E3779B97F4A7C15) + base
    z = (z ^ _shift(z, 30)) * _signed(0xBF58476D1CE4E5B9)
    z = (z ^ _shift(z, 27)) * _signed(0x94D049BB133111EB)
    return _shift(z ^ _shift(z, 31), 16)


def _shift(z: Int[Tensor, " batch"], places: int) -> Int[Tensor, " batch"]:
    return (z >> places) & ((1 << (64 - places)) - 1)


def _signed(constant: int) -> int:
    return constant - (1 << 64)
