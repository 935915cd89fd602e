"""The Gaussian filter, with the borders of scipy."""

from functools import lru_cache
from math import exp
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from withstand.functional.kernels.borders import Border, fold

# On the CPU, values that are filtered at once (more do not fit its cache), and rows or columns that are made at once
# (few read little beyond what the filter needs, many are fast).
_CHUNK = 2**18
_BLOCK = 75
# Up to this radius `blur_to_8_bits` sums in the order of scipy; beyond, that would take too long.
_EXACT = 2


def gaussian_filter(
    x: Float[Tensor, "*batch height width"], std: float, *, border: Literal["nearest", "reflect"], truncate: float = 4.0
) -> Float[Tensor, "*batch height width"]:
    """Return images smoothed by a Gaussian along both axes.

    Args:
        x: Images of any values.
        std: Standard deviation in pixels, at least 0 and of any size; 0 returns a copy.
        border: What lies beyond the image: `nearest` repeats its outermost pixels, `reflect` mirrors it, outermost
            pixels included.
        truncate: The filter ends at this many standard deviations, rounded to whole pixels.

    Returns:
        `scipy.ndimage.gaussian_filter(x, std, mode=border, truncate=truncate)` per image, to the rounding of x's type.

    Example:
        >>> gaussian_filter(torch.tensor([[1.0, 0.0, 0.0]]), 0.3, border="nearest")
        tensor([[0.9962, 0.0038, 0.0000]])
    """
    radius = int(truncate * std + 0.5)
    if radius == 0:
        return x.clone()
    on_cpu = x.device.type == "cpu"
    downs, acrosses = (
        _blocks(size, std, radius, border, _BLOCK if on_cpu else size, x.dtype, x.device) for size in x.shape[-2:]
    )
    images = x[None].flatten(0, -3)
    smooth = images.new_empty(images.shape)
    per_chunk = max(1, _CHUNK // x.shape[-2:].numel() if on_cpu else len(images))
    for chunk, result in zip(images.split(per_chunk), smooth.split(per_chunk), strict=True):
        half = torch.empty_like(result)
        for made, read, weights, _ in downs:
            torch.bmm(weights.expand(len(chunk), -1, -1), chunk[:, read], out=half[:, made])
        for made, read, _, weights in acrosses:
            torch.mm(half.flatten(0, 1)[:, read], weights, out=result.flatten(0, 1)[:, made])
    return smooth.reshape(x.shape)


def blur_to_8_bits(
    x: Float[Tensor, "batch channel height width"], std: float
) -> Float[Tensor, "batch channel height width"]:
    """Return images smoothed by a Gaussian with borders `nearest`, cut down to multiples of 1/255.

    Args:
        x: Images in [0, 1].
        std: Standard deviation in pixels, at least 0.

    Returns:
        For an image of 8 bits what `numpy.uint8(255 * skimage.filters.gaussian(image / 255, std))` is, over 255.
        Where the result is a whole level, which in plain areas is the rule, numpy cuts to it or to the one below,
        as rounding will have it. Below a standard deviation of 0.625 this is the same here; for larger ones a
        thousandth of a level is added before the cut, which leaves it a whole level.

    Example:
        >>> blur_to_8_bits(torch.full((1, 1, 1, 3), 7 / 255), 0.4) * 255
        tensor([[[[6., 6., 6.]]]])
    """
    radius = int(4 * std + 0.5)
    results = torch.empty_like(x)
    per_chunk = max(1, _CHUNK // x.shape[1:].numel() if x.device.type == "cpu" else len(x))
    for chunk, result in zip(x.split(per_chunk), results.split(per_chunk), strict=True):
        if radius <= _EXACT:
            levels = chunk.double().mul_(255 * 1024).round_().div_(1024)  # off the grid of 8 bits by less than float32
            result.copy_(_sum_in_order(levels.div_(255), std, radius).mul_(255).floor_().div_(255))
        else:
            blurred = gaussian_filter(chunk, std, border="nearest")
            torch.mul(blurred, 255, out=result).add_(1e-3).floor_().div_(255)
    return results


def _sum_in_order(
    x: Float[Tensor, "batch channel height width"], std: float, radius: int
) -> Float[Tensor, "batch channel height width"]:
    # The order of scipy's `correlate1d` for symmetric weights: the middle, then the pairs from the farthest on.
    weights = [exp(-0.5 / (std * std) * offset**2) for offset in range(-radius, radius + 1)] if radius else [1.0]
    weights = [each / sum(weights) for each in weights]
    for axis in (-2, -1):
        size = x.shape[axis]
        padded = nn.functional.pad(
            x, [0, 0, radius, radius] if axis == -2 else [radius, radius, 0, 0], mode="replicate"
        )
        x = padded.narrow(axis, radius, size) * weights[radius]
        for k in range(radius):
            pair = padded.narrow(axis, k, size) + padded.narrow(axis, 2 * radius - k, size)
            x += pair.mul_(weights[k])
    return x


@lru_cache(maxsize=8)
def _blocks(
    size: int,
    std: float,
    radius: int,
    border: Border,
    length: int,
    dtype: torch.dtype,
    device: torch.device,
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
    offset = torch.arange(-radius, radius + 1)
    weights = torch.exp(-0.5 * (offset.double() / std) ** 2)
    place = fold(torch.arange(size)[:, None] + offset, size, border)
    matrix = torch.zeros(size, size, dtype=torch.float64)
    return matrix.scatter_add_(1, place, (weights / weights.sum()).expand(size, -1))
