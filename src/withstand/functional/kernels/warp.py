"""Affine maps and displacement fields with linear interpolation."""

from functools import lru_cache

import torch
from jaxtyping import Float
from torch import Tensor, nn

from withstand.functional.precision import in_double
from withstand.functional.tensors import Images


def warp_affine(x: Images, inverse: Float[Tensor, "batch 2 3"]) -> Images:
    """Return images moved by affine maps; beyond its border an image is mirrored, without its outermost pixels.

    Args:
        x: Images of any values.
        inverse: Per image the map from a pixel to the place that it is read from, both as column and row: a matrix
            and, in the last column, what is added.

    Example:
        >>> to_the_right = torch.tensor([[[1.0, 0.0, -1.0], [0.0, 1.0, 0.0]]])
        >>> warp_affine(torch.tensor([[[[1.0, 2.0, 3.0, 4.0]]]]), to_the_right)
        tensor([[[[2., 1., 2., 3.]]]])
    """
    height, width = x.shape[-2:]
    inverse = in_double(inverse)
    # In float64 as long as it is a few numbers: per column and per row what each adds to the place.
    per_column = inverse[:, :, :1] * torch.arange(width, device=inverse.device)
    per_row = inverse[:, :, 1:2] * torch.arange(height, device=inverse.device) + inverse[:, :, 2:]
    scale = _largest(height, width, inverse.device)
    per_column, per_row = (per_column / scale).to(x), (per_row / scale - 1).to(x)
    places = per_column[:, :, None, :] + per_row[:, :, :, None]
    return nn.functional.grid_sample(x, places.movedim(1, -1), padding_mode="reflection", align_corners=True)


def displace(x: Images, field: Float[Tensor, "batch 2 height width"], *, amplitude: float = 1.0) -> Images:
    """Return images read some way off every pixel; beyond its border an image is mirrored, outermost pixels too.

    Args:
        x: Images of any values.
        field: Per pixel how far to the right and how far below it is read.
        amplitude: What the field is multiplied by to be in pixels.

    Example:
        >>> field = torch.tensor([-0.5, 0.0]).reshape(1, 2, 1, 1).expand(-1, -1, 1, 4)
        >>> displace(torch.tensor([[[[1.0, 2.0, 3.0, 4.0]]]]), field)
        tensor([[[[1.0000, 1.5000, 2.5000, 3.5000]]]])
    """
    height, width = x.shape[-2:]
    places = torch.empty_like(field)
    columns, rows = _centres(width, x.dtype, x.device), _centres(height, x.dtype, x.device)[:, None]
    torch.add(columns, field[:, 0], alpha=2 * amplitude / width, out=places[:, 0])
    torch.add(rows, field[:, 1], alpha=2 * amplitude / height, out=places[:, 1])
    return nn.functional.grid_sample(x, places.movedim(1, -1), padding_mode="reflection", align_corners=False)


# The units of grid_sample: the image goes from -1 to 1, from centre to centre of the outermost pixels for the affine
# map, from border to border for the displacement.


@lru_cache(maxsize=8)
def _largest(height: int, width: int, device: torch.device) -> Float[Tensor, "2 1"]:
    return torch.tensor([[max(width - 1, 1)], [max(height - 1, 1)]], dtype=torch.float64).to(device) / 2


@lru_cache(maxsize=8)
def _centres(size: int, dtype: torch.dtype, device: torch.device) -> Float[Tensor, " {size}"]:
    return ((torch.arange(size, dtype=torch.float64) * 2 + 1) / size - 1).to(device, dtype)
