"""Zooms into the middle of images, and their mean."""

from collections.abc import Sequence
from functools import lru_cache
from math import ceil

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from withstand.functional.pieces import pieces
from withstand.functional.tensors import Images

# Images that are enlarged at once on the CPU, and rows whose weights are made at once.
_CHUNK = 16
_STRIP = 16


def middle(size: int, factor: float) -> slice:
    """Return the index range of the central crop, ceil(size / factor) pixels.

    Example:
        >>> middle(224, 3.0)
        slice(74, 149, None)
    """
    length = ceil(size / factor)
    first = (size - length) // 2
    return slice(first, first + length)


def enlarge(
    x: Float[Tensor, "*batch rows columns"], factor: float, *, height: int, width: int
) -> Float[Tensor, "*batch {height} {width}"]:
    """Return the middle of images, enlarged by a factor to their size.

    Pixels in between are interpolated linearly along both axes, between the first pixel and the last. What comes out
    longer than the image, since lengths are whole, is cut off on both sides.

    Args:
        x: What `middle` chooses of the images' rows and columns.
        factor: At least 1.
        height: Height of the images.
        width: Width of the images.

    Returns:
        `scipy.ndimage.zoom(x, factor, order=1)` per image, cut, to the rounding of x's type.

    Source:
        hendrycks/robustness, ImageNet-C/create_c/make_imagenet_c.py, `clipped_zoom`.
        Differs: the sides need not be equal.

    Example:
        >>> enlarge(torch.tensor([[0.0, 1.0]]), 2.0, height=1, width=4)
        tensor([[0.0000, 0.3333, 0.6667, 1.0000]])
    """
    for axis, size in ((-1, width), (-2, height)):
        low, high, share = _between(size, factor)
        share = share.to(x) if axis == -1 else share.to(x)[:, None]
        x = x.index_select(axis, low.to(x.device)).lerp(x.index_select(axis, high.to(x.device)), share)
    return x


def mean_of_zooms(x: Images, factors: Sequence[float]) -> Images:
    """Return the mean of images and their middles, enlarged by each of the factors.

    Args:
        x: Images of any values.
        factors: Each at least 1.

    Example:
        >>> mean_of_zooms(torch.tensor([[[[0.0, 3.0, 6.0, 0.0]]]]), (2.0,))
        tensor([[[[1.5000, 3.5000, 5.5000, 3.0000]]]])
    """
    height, width = x.shape[-2:]
    # Every pixel is a weighted sum of others, the same for all images: a bag of rows in a table of the pixels.
    pixels, starts, weights = _bags(height, width, tuple(factors), x.device)
    mean = x.new_empty(x.shape)
    for chunk, out in pieces(_CHUNK, x, mean):
        rows = chunk.reshape(-1, height * width)
        if len(rows) == 1:
            rows = rows.expand(2, -1)  # a table of one column is summed up with other rounding than among others
        sums = nn.functional.embedding_bag(
            pixels, rows.t().contiguous(), starts, mode="sum", per_sample_weights=weights.to(x.dtype)
        )
        out.view(-1, height * width).copy_(sums.t()[: out.shape[:2].numel()])
    return mean


def _between(
    size: int, factor: float
) -> tuple[Int[Tensor, " {size}"], Int[Tensor, " {size}"], Float[Tensor, " {size}"]]:
    # For every pixel of an enlarged row the pixels of the middle on both sides of it, and the share of the second.
    length = ceil(size / factor)
    enlarged = round(length * factor)
    place = torch.arange(size, dtype=torch.float64) + (enlarged - size) // 2
    place = place * ((length - 1) / max(enlarged - 1, 1))
    low = place.long()
    return low, (low + 1).clamp(max=length - 1), place - low


@lru_cache(maxsize=5)
def _bags(
    height: int, width: int, factors: tuple[float, ...], device: torch.device
) -> tuple[Int[Tensor, " entries"], Int[Tensor, " bags"], Float[Tensor, " entries"]]:
    # For every pixel of the mean the pixels that it is a sum of, ascending, where its own begin, and their weights.
    # Kept for five severities: making them takes a quarter of a second for 224 pixels.
    rows, row_weights = _ends(height, (1.0, *factors))
    columns, column_weights = _ends(width, (1.0, *factors))
    parts = []
    for strip in torch.arange(height).split(_STRIP):
        places = rows[strip, None, :, :, None] * width + columns[:, :, None, :]
        weights = row_weights[strip, None, :, :, None] * column_weights[:, :, None, :]
        parts.append(_merge(places.flatten(2).flatten(0, 1), weights.flatten(2).flatten(0, 1)))
    pixels, counts, weights = (torch.cat(each) for each in zip(*parts, strict=True))
    starts = counts.cumsum(0) - counts
    return pixels.to(device), starts.int().to(device), (weights / (1 + len(factors))).float().to(device)


def _ends(
    size: int, factors: Sequence[float]
) -> tuple[Int[Tensor, "{size} factor 2"], Float[Tensor, "{size} factor 2"]]:
    # For every pixel and factor the two pixels of a row that it lies between, and their weights.
    pixels, weights = [], []
    for factor in factors:
        low, high, share = _between(size, factor)
        pixels.append(torch.stack([low, high], dim=1).int() + middle(size, factor).start)
        weights.append(torch.stack([1 - share, share], dim=1))
    return torch.stack(pixels, dim=1), torch.stack(weights, dim=1)


def _merge(
    places: Int[Tensor, "bag candidate"], weights: Float[Tensor, "bag candidate"]
) -> tuple[Int[Tensor, " entries"], Int[Tensor, " bag"], Float[Tensor, " entries"]]:
    # Factors that are neighbours mostly share their pixels. What has no weight is counted as the first.
    places, order = torch.where(weights > 0, places, places[:, :1]).sort(dim=1)
    is_new = places.diff(dim=1, prepend=places[:, :1] - 1) != 0
    entry = is_new.flatten().cumsum(0) - 1
    sums = weights.new_zeros(int(entry[-1]) + 1).index_add_(0, entry, weights.gather(1, order).flatten())
    return places[is_new], is_new.sum(1), sums
