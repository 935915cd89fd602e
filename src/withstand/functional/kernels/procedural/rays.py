"""Stars with rays of different lengths."""

from math import pi

import torch
from jaxtyping import Float, Int
from torch import Tensor

MOST_RAYS = 199  # of the stars of the corruptions


def star(
    height: int,
    width: int,
    centre: Float[Tensor, "batch 2"],
    num_rays: Int[Tensor, " batch"],
    lengths: Float[Tensor, "batch most"],
    *,
    power: float = 1.0,
) -> Float[Tensor, "batch height width"]:
    """Return the light of a star, from 0 to 1: 1 - (f - 1/2)^2 times (l^2 / (d^2 + 0.0001))^power, clipped.

    d is the distance to the centre in pixels, f the place between two rays (from 0 to 1), and l the length of the rays
    there, which changes linearly from one ray to the next.

    Args:
        height: Rows of the result.
        width: Columns of the result.
        centre: Row and column, in pixels.
        num_rays: Number of rays, from 1 to the number of lengths.
        lengths: Length of each ray in pixels; those beyond the number of rays are not used.
        power: How fast the light falls off, above 0; 1 is that of a point.

    Example:
        >>> star(1, 3, torch.tensor([[0.0, 0.0]]), torch.tensor([2]), torch.tensor([[1.0, 1.0]]))
        tensor([[[1.0000, 0.9999, 0.2500]]])
    """
    down = (torch.arange(height, device=centre.device) - centre[:, :1])[:, :, None]
    across = (torch.arange(width, device=centre.device) - centre[:, 1:])[:, None]
    count = num_rays[:, None, None]
    place = (torch.atan2(across, down) + pi) * (count / (2 * pi))
    ray = place.floor()
    between, ray = place - ray, ray.long()
    one, next_one = (lengths.gather(1, each.remainder(count).flatten(1)).view_as(place) for each in (ray, ray + 1))
    light = torch.lerp(one, next_one, between).square().div_(down.square() + across.square() + 1e-4)
    light = light if power == 1 else light.pow_(power)
    return light.mul_(1 - (between - 0.5).square_()).clamp_(0, 1)


def ray_lengths(radius: float, normals: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """Return lengths of rays that vary by a quarter: radius (1 + n / 4), for standard normal n.

    Example:
        >>> ray_lengths(8.0, torch.tensor([0.0, -1.0]))
        tensor([8., 6.])
    """
    return radius * (1 + 0.25 * normals)
