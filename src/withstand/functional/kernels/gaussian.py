"""Gaussian filters equal to scipy's."""

from collections.abc import Sequence
from functools import lru_cache
from math import exp
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from withstand.functional.kernels.borders import Border, fold
from withstand.functional.pieces import pieces
from withstand.functional.precision import in_double
from withstand.functional.tensors import Images

# On the CPU, values that are filtered at once (more do not fit its cache), and rows or columns that are made at once
# (few read little beyond what the filter needs, many are fast).
_CHUNK = 2**18
_BLOCK = 75
# Up to this radius `blur` sums as scipy does; beyond, that would take too long.
_EXACT = 2


def gaussian_filter(
    x: Float[Tensor, "*batch height width"],
    std: float | tuple[float, float],
    *,
    border: Literal["nearest", "reflect"],
    truncate: float = 4.0,
) -> Float[Tensor, "*batch height width"]:
    """Return images smoothed by a Gaussian along both axes.

    Args:
        x: Images of any values.
        std: Standard deviation in pixels, at least 0 and of any size, or one along columns and one along rows; 0
            returns a copy.
        border: What lies beyond the image, see `fold`.
        truncate: The filter ends at this many standard deviations, rounded to whole pixels.

    Returns:
        `scipy.ndimage.gaussian_filter(x, std, mode=border, truncate=truncate)` per image, to the rounding of x's type.

    Example:
        >>> gaussian_filter(torch.tensor([[1.0, 0.0, 0.0]]), 0.3, border="nearest")
        tensor([[0.9962, 0.0038, 0.0000]])
    """
    stds = std if isinstance(std, tuple) else (std, std)
    radii = [int(truncate * each + 0.5) for each in stds]
    if not any(radii):
        return x.clone()
    on_cpu = x.device.type == "cpu"
    downs, acrosses = (
        _blocks(size, own if radius else 1.0, radius, border, _BLOCK if on_cpu else size, x.dtype, x.device)
        for size, own, radius in zip(x.shape[-2:], stds, radii, strict=True)
    )
    images = x[None].flatten(0, -3)
    smooth = images.new_empty(images.shape)
    for chunk, result in pieces(_CHUNK // x.shape[-2:].numel(), images, smooth):
        half = torch.empty_like(result)
        for made, read, weights, _ in downs:
            torch.bmm(weights.expand(len(chunk), -1, -1), chunk[:, read], out=half[:, made])
        for made, read, _, weights in acrosses:
            torch.mm(half.flatten(0, 1)[:, read], weights, out=result.flatten(0, 1)[:, made])
    return smooth.reshape(x.shape)


def blur(x: Images, std: float) -> Images:
    """Return images smoothed by a Gaussian with border `nearest`; for a small one already floored to 8 bits.

    Where the result is a whole level, which in plain areas is the rule, `numpy.uint8` cuts to it or to the level
    below, as rounding will have it. For standard deviations below 0.625 the same rounding is done here.

    Args:
        x: Images in [0, 1].
        std: Standard deviation in pixels, at least 0.

    Returns:
        Images in [0, 1]. For images of 8 bits and a small standard deviation these are exactly
        `numpy.uint8(skimage.filters.gaussian(image / 255, std) * 255) / 255`, else up to the cut.

    Example:
        >>> levels = torch.tensor([40.0, 41.0, 42.0])
        >>> blur((levels / 255).reshape(3, 1, 1, 1), 0.4).flatten() * 255
        tensor([40., 40., 42.])
    """
    radius = int(4 * std + 0.5)
    if radius == 0:
        return x.clone()
    values = _CHUNK // 4 if radius <= _EXACT else _CHUNK
    results = torch.empty_like(x)
    for chunk, result in pieces(values // x.shape[1:].numel(), x, results):
        if radius <= _EXACT:
            sums = sum_in_order(in_float64(chunk), gaussian_weights(std, radius), border="nearest")
            result.copy_(sums.mul_(255).floor_().div_(255))
        else:
            torch.clamp(gaussian_filter(chunk, std, border="nearest"), 0, 1, out=result)
    return results


def in_float64(x: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """Return values as multiples of 1/1024 of a level in float64, so that k/255 is what it is in float64."""
    return (in_double(x) * (255 * 1024)).round_().div_(1024).div_(255)


def gaussian_weights(std: float, radius: int) -> list[float]:
    """Return the weights of a Gaussian of std above 0 at the places from -radius to radius, of sum 1.

    Example:
        >>> [round(weight, 4) for weight in gaussian_weights(0.5, 1)]
        [0.1065, 0.787, 0.1065]
    """
    weights = [exp(-0.5 / (std * std) * place**2) for place in range(-radius, radius + 1)]
    total = sum(weights)
    return [weight / total for weight in weights]


def sum_in_order(
    x: Float[Tensor, "*batch height width"],
    weights: Sequence[float],
    *,
    border: Border,
    axes: Sequence[int] = (-2, -1),
) -> Float[Tensor, "*batch height width"]:
    """Return sums of neighbours times weights along both axes, rounded as scipy and OpenCV round them.

    The order decides about that: rows before columns; the middle first, then pairs from the farthest on.

    Args:
        x: Images of any values.
        weights: An odd number of them, symmetric.
        border: What lies beyond the image, see `fold`.
        axes: Axes along which it is summed, one after the other.

    Example:
        >>> sum_in_order(torch.tensor([[0.0, 0.0, 8.0]]), [0.25, 0.5, 0.25], border="nearest")
        tensor([[0., 2., 6.]])
    """
    radius = len(weights) // 2
    for axis in axes:
        size = x.shape[axis]
        padded = x.index_select(axis, fold(torch.arange(-radius, size + radius), size, border).to(x.device))
        x = padded.narrow(axis, radius, size) * weights[radius]
        for start in range(radius):
            pair = padded.narrow(axis, start, size) + padded.narrow(axis, 2 * radius - start, size)
            x += pair.mul_(weights[start])
    return x


@lru_cache(maxsize=8)
def _blocks(
    size: int, std: float, radius: int, border: Border, length: int, dtype: torch.dtype, device: torch.device
) -> list[tuple[slice, slice, Float[Tensor, "made read"], Float[Tensor, "read made"]]]:
    # What is made, what has to be read for it, and the weights, also transposed.
    matrix = _matrix(size, std, radius, border).to(device, dtype)
    blocks = []
    for start in range(0, size, length):
        made = slice(start, min(start + length, size))
        read = slice(max(made.start - radius, 0), min(made.stop + radius, size))
        weights = matrix[made, read].contiguous()
        blocks.append((made, read, weights, weights.mT.contiguous()))
    return blocks


def _matrix(size: int, std: float, radius: int, border: Border) -> Float[Tensor, "{size} {size}"]:
    # Entry (i, j) is the weight of pixel j in pixel i: that of all places that the border's rule takes to j.
    weights = torch.tensor(gaussian_weights(std, radius), dtype=torch.float64)
    pixels = fold(torch.arange(size)[:, None] + torch.arange(-radius, radius + 1), size, border)
    matrix = torch.zeros(size, size, dtype=torch.float64)
    return matrix.scatter_add_(1, pixels, weights.expand(size, -1))
