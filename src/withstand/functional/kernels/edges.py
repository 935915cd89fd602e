"""Edge detection, and distances from edges."""

import torch
from jaxtyping import Bool, Float, Int, Real
from torch import Tensor
from torch.nn.functional import pad

from withstand.functional.kernels.gaussian import gaussian_weights, in_float64, sum_in_order

Levels = Int[Tensor, "batch height width"]
Marks = Bool[Tensor, "batch height width"]
Slopes = Float[Tensor, "batch height width"]
_TANGENT = 13573  # of 22.5 degrees, with 15 bits behind the point
# Steps of the chamfer distance (rows, columns) with their lengths, of which 16 bits behind the point are kept.
_STEPS = {
    **dict.fromkeys(((0, 1), (1, 0)), 1.0),
    **dict.fromkeys(((1, 1), (1, -1)), 91750 / 2**16),
    **dict.fromkeys(((1, 2), (2, 1), (1, -2), (2, -1)), 143976 / 2**16),
}


def canny(levels: Levels, *, low: int, high: int) -> Marks:
    """Return Canny's edges: crests of the gradient above a high threshold, and above a low one next to those.

    Args:
        levels: Whole numbers from 0 to 255.
        low: Threshold for the sum of the gradient's two absolute values (Sobel, 3 x 3).
        high: The same, at least `low`.

    Returns:
        Per image `cv2.Canny(image, low, high) > 0`.

    Source:
        Canny: "A computational approach to edge detection", TPAMI 1986; OpenCV, modules/imgproc/src/canny.cpp, for
        directions and ties.

    Example:
        >>> canny(torch.tensor([[[0, 0, 100, 100, 100]]]), low=50, high=150).int()
        tensor([[[0, 1, 0, 0, 0]]], dtype=torch.int32)
    """
    across, down = _sobel(levels.int())
    steepness = across.abs() + down.abs()
    crest = _crest(across, down, steepness) & (steepness > low)
    return _connected(crest & (steepness > high), crest)


def smooth_canny(x: Float[Tensor, "batch height width"], *, std: float, low: float, high: float) -> Marks:
    """Return Canny's edges of images that are smoothed by a Gaussian; none at the border.

    Args:
        x: Images of any values.
        std: Standard deviation of the Gaussian in pixels, above 0; pixels beyond the border have no weight.
        low: Threshold for the length of the gradient (Sobel, 3 x 3, not divided by 8).
        high: The same, at least `low`.

    Returns:
        `skimage.feature.canny(image, std, low, high)` per image, computed in float64.

    Source:
        Canny 1986; scikit-image, feature/_canny.py: crests are found between pixels.

    Example:
        >>> x = torch.tensor([[0.0, 0.0, 0.5, 1.0, 1.0]]).expand(1, 4, 5)
        >>> smooth_canny(x, std=0.5, low=0.1, high=0.2).int()[0, :3]
        tensor([[0, 0, 0, 0, 0],
                [0, 0, 1, 0, 0],
                [0, 0, 1, 0, 0]], dtype=torch.int32)
    """
    radius = int(4 * std + 0.5)
    weights = gaussian_weights(std, radius)
    padded = (pad(each, (radius,) * 4) for each in (in_float64(x), in_float64(torch.ones_like(x))))
    total, weight = (sum_in_order(each, weights, border="nearest") for each in padded)
    inner = slice(radius, total.shape[1] - radius), slice(radius, total.shape[2] - radius)
    smooth = total[:, inner[0], inner[1]] / (weight[:, inner[0], inner[1]] + torch.finfo(torch.float64).eps)
    across, down = _sobel(smooth)
    steepness = (down.square() + across.square()).sqrt()
    crest = torch.zeros_like(x, dtype=torch.bool, device=steepness.device)
    crest[:, 1:-1, 1:-1] = _crest_between(across, down, steepness)[:, 1:-1, 1:-1]
    crest &= steepness >= low
    return _connected(crest & (steepness >= high), crest).to(x.device)


def chamfer_distance(marked: Marks, *, most: int) -> Float[Tensor, "batch height width"]:
    """Return the chamfer distance to the nearest marked pixel, up to a maximum.

    A way consists of steps to neighbours (length 1), to diagonal neighbours (1.4) and like a knight's at chess
    (2.1969), which is the straight length to two per cent.

    Source:
        Borgefors: "Distance transformations in digital images", CVGIP 1986; OpenCV, modules/imgproc/src/distransf.cpp,
        mask of 5 x 5.

    Example:
        >>> chamfer_distance(torch.tensor([[[True, False, False], [False, False, False]]]), most=20)
        tensor([[[0.0000, 1.0000, 2.0000],
                 [1.0000, 1.4000, 2.1969]]])
    """
    distance = pad(torch.where(marked, 0.0, float(most)), (most,) * 4, value=float(most))
    # A shortest way needs two kinds of steps and can take them in any order, so the kinds can have their turns.
    for (rows, columns), length in _STEPS.items():
        reach, need = 0, int(most / length)
        while reach < need:
            stride = min(reach + 1, need - reach)
            _relax(distance, stride * rows, stride * columns, stride * length)
            reach += stride
    return distance[:, most:-most, most:-most]


def _sobel(levels: Real[Tensor, "batch height width"]) -> tuple[Tensor, Tensor]:
    rows, columns = (torch.arange(-1, size + 1, device=levels.device).clamp(0, size - 1) for size in levels.shape[1:])
    around = levels[:, rows][:, :, columns]
    smooth = around[:, :-2] + 2 * around[:, 1:-1] + around[:, 2:]
    across = smooth[:, :, 2:] - smooth[:, :, :-2]
    smooth = around[:, :, :-2] + 2 * around[:, :, 1:-1] + around[:, :, 2:]
    return across, smooth[:, 2:] - smooth[:, :-2]


def _crest(across: Levels, down: Levels, steepness: Levels) -> Marks:
    # No smaller than the two neighbours along the gradient, whose direction is one of four.
    height, width = steepness.shape[1:]
    around = pad(steepness, (1, 1, 1, 1))

    def neighbour(row: int, column: int) -> Levels:
        return around[:, 1 + row : 1 + row + height, 1 + column : 1 + column + width]

    x, y = across.abs(), down.abs() << 15
    flat, steep = y < x * _TANGENT, y > x * (_TANGENT + (2 << 15))
    falling = (across ^ down) < 0
    left_right = (steepness > neighbour(0, -1)) & (steepness >= neighbour(0, 1))
    up_down = (steepness > neighbour(-1, 0)) & (steepness >= neighbour(1, 0))
    one = (steepness > neighbour(-1, -1)) & (steepness > neighbour(1, 1))
    other = (steepness > neighbour(-1, 1)) & (steepness > neighbour(1, -1))
    diagonal = torch.where(falling, other, one)
    return torch.where(flat, left_right, torch.where(steep, up_down, diagonal))


def _crest_between(across: Slopes, down: Slopes, steepness: Slopes) -> Marks:
    # No smaller than both neighbours along the gradient, which lie between two pixels.
    height, width = steepness.shape[1:]
    around = pad(steepness, (1, 1, 1, 1))
    is_steep = down.abs() >= across.abs()
    share = torch.minimum(down.abs(), across.abs()) / torch.maximum(down.abs(), across.abs()).clamp(min=1e-300)
    falling = down * across < 0

    def is_below(sign: int) -> Marks:
        def neighbour(row: int, column: int) -> Slopes:
            row, column = 1 + sign * row, 1 + sign * column
            return around[:, row : row + height, column : column + width]

        straight = torch.where(is_steep, neighbour(1, 0), neighbour(0, 1))
        # The gradient points to the lower right or the upper left; falling, to the lower left or the upper right.
        diagonal = torch.where(falling, torch.where(is_steep, neighbour(1, -1), neighbour(-1, 1)), neighbour(1, 1))
        return diagonal * share + straight * (1 - share) <= steepness

    return is_below(1) & is_below(-1)


def _connected(edges: Marks, crest: Marks) -> Marks:
    """Return the marks of a crest that are connected to edges on it."""
    while True:
        grown = _dilate(_dilate(edges) & crest) & crest
        if torch.equal(grown, edges):
            return edges
        edges = grown


def _dilate(marked: Marks) -> Marks:
    grown = marked.clone()
    grown[:, 1:] |= marked[:, :-1]
    grown[:, :-1] |= marked[:, 1:]
    wide = grown.clone()
    wide[:, :, 1:] |= grown[:, :, :-1]
    wide[:, :, :-1] |= grown[:, :, 1:]
    return wide


def _relax(distance: Float[Tensor, "batch height width"], rows: int, columns: int, length: float) -> None:
    height, width = distance.shape[1:]
    one = distance[:, : height - rows, max(0, -columns) : width - max(0, columns)]
    other = distance[:, rows:, max(0, columns) : width - max(0, -columns)]
    torch.minimum(other, one + length, out=other)
    torch.minimum(one, other + length, out=one)
