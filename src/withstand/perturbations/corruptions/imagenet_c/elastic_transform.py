"""Elastic transform of ImageNet-C."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from withstand.functional.kernels.gaussian import gaussian_filter
from withstand.functional.kernels.warp import displace, warp_affine
from withstand.functional.pieces import pieces
from withstand.functional.precision import in_double
from withstand.functional.random import Rng, uniform
from withstand.functional.tensors import Device, Images
from withstand.perturbations.base import Corruption

# Pixels that are worked on at once on the CPU: more do not fit its cache.
_CHUNK = 2**17


def _times(side: int, factors: Sequence[tuple[float, float, float]]) -> tuple[tuple[float, float, float], ...]:
    return tuple((side * amplitude, side * std, side * jitter) for amplitude, std, jitter in factors)


_LARGE = ((2, 0.7, 0.1), (2, 0.08, 0.2), (0.05, 0.01, 0.02), (0.07, 0.01, 0.02), (0.12, 0.01, 0.02))


@dataclass(frozen=True, kw_only=True)
class ElasticTransform(Corruption):
    """Apply a random affine map, then a smooth random displacement of every pixel.

    Source:
        hendrycks/robustness, ImageNet-C/create_c, `elastic_transform`, with OpenCV's `warpAffine` and scipy's
        `map_coordinates`; `tables` holds the amplitude of the displacements, the standard deviation of the Gaussian
        that makes them smooth, and the maximum displacement of the points of the affine map along each axis. All are in
        pixels: published factors times the side length, with 244 instead of 224 and 360 instead of 299, as in the
        original.
        Differs: the points lie around the centre of the image even if it is not square. OpenCV 3.4, with which the
        published files were made, rounds the positions at which the affine map reads to 1/32 of a pixel; newer releases
        do not, and neither does this class.
    """

    tables: ClassVar = {
        224: _times(244, _LARGE),
        299: _times(360, _LARGE),
        64: _times(64, ((0, 0, 0.08), (0.05, 0.3, 0.06), (0.1, 0.08, 0.06), (0.1, 0.03, 0.03), (0.16, 0.03, 0.02))),
        32: _times(32, ((0, 0, 0.08), (0.05, 0.2, 0.07), (0.08, 0.06, 0.06), (0.1, 0.04, 0.05), (0.1, 0.03, 0.03))),
    }

    def sample(
        self, shape: Sequence[int], *, rng: Rng, device: Device | None = None
    ) -> tuple[Float[Tensor, "batch 3 2"], Float[Tensor, "batch 2 height width"]]:
        """Return numbers uniform in [-1, 1) for the points and for the displacements, in both columns first."""
        points = uniform((shape[0], 3, 2), rng=rng, device=device)
        field = uniform((shape[0], 2, *shape[-2:]), rng=rng, device=device)
        return points.mul_(2).sub_(1), field.mul_(2).sub_(1)

    def corrupt(
        self, x: Images, parameters: tuple[Float[Tensor, "batch 3 2"], Float[Tensor, "batch 2 height width"]]
    ) -> Images:
        """Move the points, then every pixel."""
        height, width = x.shape[-2:]
        amplitude, std, jitter = self.published(height, width)
        points, numbers = parameters
        inverse = _inverse(in_double(points) * jitter, height, width)
        moved = torch.empty_like(x)
        for part, matrix, each, out in pieces(_CHUNK // (height * width), x, inverse, numbers.to(x.dtype), moved):
            field = gaussian_filter(each, std, border="reflect", truncate=3)
            torch.clamp(displace(warp_affine(part, matrix), field, amplitude=amplitude), 0, 1, out=out)
        return moved


def _inverse(moves: Float[Tensor, "batch 3 2"], height: int, width: int) -> Float[Tensor, "batch 2 3"]:
    # The points are the corners of a right triangle around the middle, lower right, upper right, and upper left.
    middle = moves.new_tensor([width // 2, height // 2])
    half = max(min(height, width) // 3, 1)
    ends = middle + half * moves.new_tensor([[1, 1], [1, -1], [-1, -1]]) + moves
    forward = torch.stack([ends[:, 1] - ends[:, 2], ends[:, 0] - ends[:, 1]], dim=-1) / (2 * half)
    (a, b), (c, d) = forward[:, 0].unbind(-1), forward[:, 1].unbind(-1)
    determinant = a * d - b * c
    # As in OpenCV where all points fall on one line.
    scale = torch.where(determinant == 0, 0.0, 1 / determinant)
    matrix = torch.stack([torch.stack([d, -b], -1), torch.stack([-c, a], -1)], dim=1) * scale[:, None, None]
    start = middle - half - (matrix @ ends[:, 2, :, None])[..., 0]
    return torch.cat([matrix, start[..., None]], dim=-1)
