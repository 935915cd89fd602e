"""Lines whose light fades with the distance."""

import torch
from jaxtyping import Float
from torch import Tensor

from withstand.functional.precision import in_double

_REACH = 2.3  # pixels above or below a line at which it would end without the limit of 0


def stroke(
    start: Float[Tensor, "batch 2"], stop: Float[Tensor, "batch 2"], height: int, width: int
) -> Float[Tensor, "batch height width"]:
    """Return the light of a line from the left to the right: 1 + log(1 - d / 2.3), at least 0, in float64.

    d is the distance above or below the line in pixels. There is none in the columns before the one that the line
    starts in, and from the one that it ends in on, rounded up.

    Args:
        start: Row and column of the first point.
        stop: The same of the last one; where it is in the same column, there is no line.
        height: Rows of the result.
        width: Columns of the result.

    Source:
        google-research/mnist-c, corruptions.py, `line_from_points`.

    Example:
        >>> stroke(torch.tensor([[0.0, 0.0]]), torch.tensor([[1.0, 2.0]]), 2, 3)
        tensor([[[1.0000, 0.7549, 0.0000],
                 [0.4295, 0.7549, 0.0000]]], dtype=torch.float64)
    """
    start, stop = (in_double(each)[..., None, None] for each in (start, stop))
    rows, columns = (torch.arange(size, device=start.device, dtype=start.dtype) for size in (height, width))
    across = stop[:, 1] - start[:, 1]
    slope = (stop[:, 0] - start[:, 0]) / across.where(across != 0, 1)
    distance = (rows[:, None] - (slope * (columns - start[:, 1]) + start[:, 0])).abs().clamp(max=_REACH - 1e-10)
    light = (1 - distance / _REACH).log_().add_(1).clamp_(0, 1)
    return light * ((columns >= start[:, 1].floor()) & (columns < stop[:, 1].ceil()) & (across != 0))
