"""Fog of ImageNet-C."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from withstand.functional.kernels.plasma import plasma
from withstand.functional.pieces import pieces
from withstand.functional.random import Rng, uniform
from withstand.functional.tensors import Device, Images
from withstand.perturbations.base import Corruption


@dataclass(frozen=True, kw_only=True)
class Fog(Corruption):
    """Add a plasma fractal p in [0, 1] and rescale: clip((x + c p) m / (m + c)).

    m is the largest value of the image over all channels.

    Source:
        hendrycks/robustness, ImageNet-C/create_c, `fog`; c and the decay of the fractal are `tables`. The upper left
        corner of the fractal is used. Its side is the smallest power of two that covers the image: 256, 512, 64 and 32
        for the published sizes.
        Differs: the sides are fixed in the original; computed in float32 instead of float64.
    """

    tables: ClassVar = {
        224: ((1.5, 2), (2, 2), (2.5, 1.7), (2.5, 1.5), (3, 1.4)),
        299: ((1.5, 2), (2, 2), (2.5, 1.8), (2.5, 1.6), (3, 1.5)),
        64: ((0.4, 3), (0.7, 3), (1, 2.5), (1.5, 2), (2, 1.75)),
        32: ((0.2, 3), (0.5, 3), (0.75, 2.5), (1, 2), (1.5, 1.75)),
    }

    def sample(self, shape: Sequence[int], *, rng: Rng, device: Device | None = None) -> Float[Tensor, "batch numbers"]:
        """Return the uniform numbers that the fractal is made of."""
        side = 2
        while side < max(shape[-2:]):
            side *= 2
        return uniform((shape[0], side**2 - 1), rng=rng, device=device)

    def corrupt(self, x: Images, parameters: Float[Tensor, "batch numbers"]) -> Images:
        """Add the fog and darken."""
        height, width = x.shape[-2:]
        amount, decay = self.published(height, width)
        foggy = torch.empty_like(x)
        for part, numbers, out in pieces(16, x, parameters.to(x.dtype), foggy):
            highest = part.amax((-3, -2, -1), keepdim=True)
            darkened = highest / (highest + amount)
            clouds = plasma(numbers, decay=decay)[:, None, :height, :width] * (darkened * amount)
            torch.addcmul(clouds, part, darkened, out=out).clamp_(0, 1)
        return foggy
