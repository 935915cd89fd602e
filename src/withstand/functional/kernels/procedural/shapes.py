"""Filled polygons and circles without smooth edges."""

from functools import lru_cache

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

Masks = Bool[Tensor, "shape height width"]


def filled_polygons(
    corners: Int[Tensor, "shape corner 2"], rows: Int[Tensor, "shape height"], columns: Int[Tensor, "shape width"]
) -> Masks:
    """Return the pixels of filled polygons in windows of an image.

    Args:
        corners: Row and column of each corner, in order around the polygon; the border belongs to it.
        rows: Rows of each polygon's window.
        columns: Columns of the window, one next to the other.

    Returns:
        The pixels that Pillow's `ImageDraw.polygon(corners, fill=...)` changes.

    Source:
        Pillow, src/libImaging/Draw.c, `polygon_generic`: scan lines in float32, and a rule for edges that meet.
        Differs: all scan lines of all polygons at once.

    Example:
        >>> window = torch.arange(4).expand(1, 4)
        >>> filled_polygons(torch.tensor([[[0, 0], [0, 3], [3, 0]]]), window, window)[0].int()
        tensor([[1, 1, 1, 1],
                [1, 1, 1, 0],
                [1, 1, 0, 0],
                [1, 0, 0, 0]], dtype=torch.int32)
    """
    first, second = corners, corners.roll(-1, 1)
    low, high = (each[:, None] for each in (torch.minimum(first, second), torch.maximum(first, second)))
    row, flat = rows[..., None], low[..., 0] == high[..., 0]
    touches = (row == low[..., 0]) | (row == high[..., 0])
    inside = (row >= low[..., 0]) & (row <= high[..., 0]) & ~flat
    place = _crossing(first, second, row)
    # An edge that ends above the polygon's last row counts twice there, so that crossings come in pairs.
    twice = inside & (row == high[..., 0]) & (row < high[..., 0].amax(2, keepdim=True))
    met = _met(first, second, row, place, touches & inside)
    beyond = torch.inf
    ends = torch.cat([(met.where(~twice, place)).where(inside, beyond), place.where(twice, beyond)], -1).sort(-1).values
    level = (flat & (row == low[..., 0]))[..., None]
    ends = torch.cat([ends.unflatten(-1, (-1, 2)), torch.stack([low, high], -1)[..., 1, :].where(level, beyond)], 2)
    return _between(_rounded(ends[..., 0]), _rounded_down(ends[..., 1]), columns)


def _between(
    left: Float[Tensor, "shape height span"],
    right: Float[Tensor, "shape height span"],
    columns: Int[Tensor, "shape width"],
) -> Masks:
    """Return the pixels between the ends of any span that has two, both included."""
    first, width = columns[:, :1, None], columns.shape[1]
    start, stop = ((end - first).clamp(0, width).long() for end in (left, right + 1))
    drawn = ((stop > start) & right.isfinite()).long()
    change = drawn.new_zeros(*left.shape[:2], width + 1)
    return (change.scatter_add_(2, start, drawn).scatter_add_(2, stop, -drawn).cumsum(2) > 0)[..., :width]


@lru_cache(maxsize=64)
def filled_circle(size: int) -> Bool[Tensor, "side side"]:
    """Return the pixels of a disc of `size` + 1 pixels in diameter, those of Pillow's `ImageDraw.ellipse`.

    Source:
        Pillow, src/libImaging/Draw.c, `quarter_next`: from the side to the top, the neighbour next to the circle.

    Example:
        >>> filled_circle(3).int()
        tensor([[0, 1, 1, 0],
                [1, 1, 1, 1],
                [1, 1, 1, 1],
                [0, 1, 1, 0]], dtype=torch.int32)
    """
    # In half pixels from the middle.
    x, y, reach = size, size % 2, {size % 2: size}
    while (x, y) != (size % 2, size):
        steps = [(x, y + 2), (x - 2, y + 2), (x - 2, y)][: 3 if x > 1 else 1]
        x, y = min(steps, key=lambda step: abs(step[0] ** 2 + step[1] ** 2 - size**2))
        reach.setdefault(y, x)
    place = (2 * torch.arange(size + 1) - size).abs()
    widths = torch.tensor([reach[int(each)] for each in place])
    return place <= widths[:, None]


def _crossing(
    first: Int[Tensor, "shape edge 2"], second: Int[Tensor, "shape edge 2"], row: Int[Tensor, "shape height other"]
) -> Float[Tensor, "shape height edge"]:
    """Return the column at which the line through each edge crosses a row."""
    return (row - first[:, None, :, 0]).float() * _slope(first, second)[:, None] + first[:, None, :, 1]


def _slope(first: Int[Tensor, "shape edge 2"], second: Int[Tensor, "shape edge 2"]) -> Float[Tensor, "shape edge"]:
    down, across = (second - first).unbind(-1)
    return (across.float() / down).where(down != 0, 0.0)


def _met(
    first: Int[Tensor, "shape edge 2"],
    second: Int[Tensor, "shape edge 2"],
    row: Int[Tensor, "shape height 1"],
    place: Float[Tensor, "shape height edge"],
    touches: Bool[Tensor, "shape height edge"],
) -> Float[Tensor, "shape height edge"]:
    """Return the crossings, those at corners drawn out to where the two edges are one row further."""
    slanted = touches & (_slope(first, second) != 0)[:, None]
    upper, lower = torch.minimum(first, second)[..., 0], torch.maximum(first, second)[..., 0]
    further = torch.where(row == lower[:, None], row - 1, row + 1)
    own = ((further - first[:, None, :, 0]).float() * _slope(first, second)[:, None] + first[:, None, :, 1])[..., None]
    height, edges = further.shape[1:]
    other = _crossing(first, second, further.flatten(1)[..., None]).unflatten(1, (height, edges))
    reached = (further[..., None] >= upper[:, None, None]) & (further[..., None] <= lower[:, None, None])
    same = _rounded(place)[..., None] == _rounded(place)[:, :, None]
    pairs = slanted[..., None] & slanted[:, :, None] & reached & same
    pairs &= torch.ones(edges, edges, dtype=torch.bool, device=row.device).tril(-1)
    earliest = pairs & (pairs.cumsum(-1) == 1)
    here = place[..., None]
    lifted = _rounded(torch.maximum(own, other)) + 1
    lowered = _rounded(torch.minimum(own, other)) - 1
    moved = lifted.where((here > own + 1) & (here > other + 1), here)
    moved = lowered.where((here < own - 1) & (here < other - 1), moved)
    return (moved * earliest).sum(-1).where(earliest.any(-1), place)


def _rounded(x: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    return x.sign() * (x.abs() + 0.5).floor()


def _rounded_down(x: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    return x.sign() * (x.abs() - 0.5).ceil().clamp(min=0)
