"""Lines with smooth edges."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from withstand.functional.precision import widest


def line_weights(ends: Int[Tensor, "batch 2 2"], height: int, width: int) -> Float[Tensor, "batch height width"]:
    """Return how much of each pixel a line covers, from 0 to 1, in float64.

    Args:
        ends: First and last pixel, each as row and column; they may lie outside, at most `height + width` apart.
        height: Rows of the result.
        width: Columns of the result.

    Source:
        Bresenham's algorithm with anti-aliasing, as in Zingl: "A rasterizing algorithm for drawing curves", 2012, and
        scikit-image's `line_aa`.
        Differs: all steps at once. After m steps along its longer side l, a line has made floor(s (2 m + 1) / (2 l))
        along its shorter side s.

    Example:
        >>> line_weights(torch.tensor([[[0, 0], [1, 2]]]), 2, 3)
        tensor([[[1.0000, 0.5528, 0.1056],
                 [0.1056, 0.5528, 1.0000]]], dtype=torch.float64)
    """
    start, stop = ends.long().unbind(1)
    rows, columns = (stop - start).abs()[..., None].unbind(1)
    to_row, to_column = (1 - 2 * (stop < start).long())[..., None].unbind(1)
    length = torch.hypot(*(each.to(widest(each.device)) for each in (rows, columns))).clamp_min(1)
    long, short = torch.maximum(rows, columns), torch.minimum(rows, columns)
    step = torch.arange(height + width + 1, device=ends.device)
    minor = short * (2 * step + 1) // (2 * long.clamp_min(1))
    down, across = torch.where(columns >= rows, minor, step), torch.where(columns >= rows, step, minor)
    error = columns * (1 + down) - rows * (1 + across)
    row, column = start[:, :1] + to_row * down, start[:, 1:] + to_column * across
    # Per step the pixel on the line, and up to two beside it.
    side = [(2 * error >= -columns) & (error + rows < length), (2 * error <= rows) & (columns - error < length)]
    made = torch.stack([step <= long, side[0] & (step < long), side[1] & (step < long)], -1)
    apart = torch.stack([error - columns + rows, error + rows, columns - error], -1)
    weights = 1 - apart.abs() / length[..., None]
    row, column = torch.stack([row, row + to_row, row], -1), torch.stack([column, column, column + to_column], -1)
    made &= (row >= 0) & (row < height) & (column >= 0) & (column < width)
    return _last(torch.where(made, row * width + column, height * width).flatten(1), weights.flatten(1), height, width)


def _last(
    places: Int[Tensor, "batch made"], weights: Float[Tensor, "batch made"], height: int, width: int
) -> Float[Tensor, "batch height width"]:
    # Of the weights of one place the last one holds; those at the place after the last pixel are dropped.
    order = torch.arange(places.shape[1], device=places.device).expand_as(places)
    latest = order.new_zeros(len(places), height * width + 1).scatter_reduce_(1, places, order, "amax")
    places = torch.where(latest.gather(1, places) == order, places, height * width)
    covered = weights.new_zeros(len(places), height * width + 1).scatter_(1, places, weights)
    return covered[:, :-1].reshape(-1, height, width)
