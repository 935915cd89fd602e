"""Cubic B-splines: enlarging, and turning images by many angles."""

from collections.abc import Sequence
from functools import lru_cache
from math import cos, radians, sin

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from withstand.functional.kernels.borders import fold
from withstand.functional.precision import in_double
from withstand.functional.tensors import Images

_CHUNK = 2**17  # places that are worked on at once: more do not fit the cache


def enlarging(size: int, scale: float) -> Float[Tensor, "{size} {size}"]:
    """Return the matrix that enlarges an axis and keeps its middle; cubic B-spline weights straight on the pixels.

    The weights are not those of an interpolation, so this blurs, even without enlarging.

    Args:
        size: Number of pixels, at least 1.
        scale: At least 1. The enlarged axis has round(size * scale) pixels, half-way cases rounded to even.

    Example:
        >>> (enlarging(3, 1.0) * 6).round()
        tensor([[4., 2., 0.],
                [1., 4., 1.],
                [0., 2., 4.]], dtype=torch.float64)
    """
    large = round(size * scale)
    first = (large - size) // 2
    place = torch.arange(first, first + size, dtype=torch.float64) * ((size - 1) / max(large - 1, 1))
    pixels, weights = _taps(place, size)
    return torch.zeros(size, size, dtype=torch.float64).scatter_add_(1, pixels.mT, weights.mT)


def mean_of_turns(x: Images, degrees: Sequence[float], weights: Sequence[float]) -> Images:
    """Return the weighted mean of images turned about their centre, in float64.

    Cubic splines pass through the pixels; beyond its border an image is black.

    Args:
        x: Images of any values.
        degrees: Angles.
        weights: One per angle, of sum 1.

    Example:
        >>> mean_of_turns(torch.tensor([[[[1.0, 0.0], [0.0, 0.0]]]]), [0.0, 90.0], [0.5, 0.5]).abs().round(decimals=3)
        tensor([[[[0.5000, 0.0000],
                  [0.5000, 0.0000]]]], dtype=torch.float64)
    """
    height, width = x.shape[-2:]
    x = in_double(x)
    solved = _prefilter(height).to(x) @ x @ _prefilter(width).to(x).mT
    table = solved.flatten(0, 1).flatten(1).mT.contiguous()
    total = torch.zeros_like(table)
    at_once = max(1, _CHUNK // (height * width))
    for start in range(0, len(degrees), at_once):
        part = slice(start, start + at_once)
        pixels, shares = _turned(height, width, tuple(degrees[part]), tuple(weights[part]))
        total += nn.functional.embedding_bag(pixels.to(x.device), table, mode="sum", per_sample_weights=shares.to(x))
    return total.mT.reshape(x.shape)


@lru_cache(maxsize=8)
def _turned(
    height: int, width: int, degrees: tuple[float, ...], weights: tuple[float, ...]
) -> tuple[Int[Tensor, "place tap"], Float[Tensor, "place tap"]]:
    # Per pixel of the result the pixels that it is made from under all angles, and their weights.
    middle_row, middle_column = (height - 1) / 2, (width - 1) / 2
    down = torch.arange(height, dtype=torch.float64)[:, None] - middle_row
    across = torch.arange(width, dtype=torch.float64) - middle_column
    pixels, shares = [], []
    for angle, weight in zip(map(radians, degrees), weights, strict=True):
        row = (cos(angle) * down + sin(angle) * across + middle_row).flatten()
        column = (cos(angle) * across - sin(angle) * down + middle_column).flatten()
        inside = (row >= 0) & (row <= height - 1) & (column >= 0) & (column <= width - 1)
        rows, row_weights = _taps(row, height)
        columns, column_weights = _taps(column, width)
        pixels.append((rows[:, None] * width + columns).flatten(0, 1))
        shares.append((row_weights[:, None] * column_weights * (inside * weight)).flatten(0, 1))
    return torch.cat(pixels).mT.contiguous(), torch.cat(shares).mT.contiguous()


def _taps(place: Float[Tensor, " place"], size: int) -> tuple[Int[Tensor, "4 place"], Float[Tensor, "4 place"]]:
    # The four pixels around each place, and their weights; beyond its border the axis is mirrored.
    first = place.floor()
    t = place - first
    pixels = torch.stack([first + offset for offset in (-1, 0, 1, 2)]).long()
    middle = (4 - 6 * t**2 + 3 * t**3, 1 + 3 * t + 3 * t**2 - 3 * t**3)
    return fold(pixels, size, "mirror"), torch.stack([(1 - t) ** 3, *middle, t**3]) / 6


@lru_cache(maxsize=8)
def _prefilter(size: int) -> Float[Tensor, "{size} {size}"]:
    # The matrix from pixels to the coefficients of the spline through them.
    return torch.linalg.inv(enlarging(size, 1.0))
