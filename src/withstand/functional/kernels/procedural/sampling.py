"""Bilinear sampling at positions between pixels."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from withstand.functional.tensors import Images


def bilinear(
    x: Images, rows: Float[Tensor, "#batch height width"], columns: Float[Tensor, "#batch height width"]
) -> Images:
    """Return images sampled at other positions by bilinear interpolation; outside of an image, values are 0.

    Unlike in `grid_sample`, positions are in pixels, so that a whole position returns the pixel itself.

    Args:
        x: Images of any values.
        rows: Row that each pixel is read from; any finite number, 0 is the middle of the first row.
        columns: Column, likewise.

    Example:
        >>> rows, columns = torch.zeros(1, 1, 3), torch.tensor([[[0.0, 0.5, 1.25]]])
        >>> bilinear(torch.tensor([[[[1.0, 2.0, 4.0]]]]), rows, columns)
        tensor([[[[1.0000, 1.5000, 2.5000]]]])
        >>> bilinear(torch.tensor([[[[1.0, 2.0, 4.0]]]]), rows, columns + 2)
        tensor([[[[4., 2., 0.]]]])
    """
    batch, channels, height, width = x.shape
    flat = nn.functional.pad(x, (1, 2, 1, 2)).flatten(2)
    rows, columns = rows.clamp(-1, height), columns.clamp(-1, width)
    above, left = rows.floor(), columns.floor()
    down, right = (rows - above).to(x).flatten(1)[:, None], (columns - left).to(x).flatten(1)[:, None]
    first = ((above.long() + 1) * (width + 3) + left.long() + 1).flatten(1)[:, None].expand(batch, channels, -1)
    upper = torch.lerp(flat.gather(2, first), flat.gather(2, first + 1), right)
    lower = torch.lerp(flat.gather(2, first + width + 3), flat.gather(2, first + width + 4), right)
    return torch.lerp(upper, lower, down).reshape(x.shape)
