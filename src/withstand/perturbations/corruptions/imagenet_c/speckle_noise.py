"""Speckle noise, of the extra corruptions of ImageNet-C."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from jaxtyping import Float
from torch import Tensor

from withstand.functional.random import Rng, normal
from withstand.perturbations.base import Corruption


@dataclass(frozen=True, kw_only=True)
class SpeckleNoise(Corruption):
    """Noise in proportion to the image, independent per pixel and channel: clip(x + c x n), n ~ N(0, 1).

    One of the extra corruptions that ImageNet-C keeps for validation; they do not count in its mean.

    Source:
        hendrycks/robustness, ImageNet-C/create_c, `speckle_noise`; c is `tables`, a std at x = 1.
    """

    severity: int = 3
    pixels: Literal[224, 299, 64, 32] | None = None

    tables: ClassVar = {
        224: (0.15, 0.2, 0.35, 0.45, 0.6),
        299: (0.16, 0.21, 0.36, 0.46, 0.61),
        64: (0.15, 0.2, 0.25, 0.3, 0.35),
        32: (0.06, 0.1, 0.12, 0.16, 0.2),
    }

    def sample(
        self, shape: Sequence[int], *, rng: Rng, device: torch.device | str | None = None
    ) -> Float[Tensor, "batch channel height width"]:
        """Return standard normal numbers."""
        return normal(shape, rng=rng, device=device)

    def corrupt(
        self,
        x: Float[Tensor, "batch channel height width"],
        parameters: Float[Tensor, "batch channel height width"],
    ) -> Float[Tensor, "batch channel height width"]:
        """Add the noise."""
        std = self.published(*x.shape[-2:])
        return (std * parameters).mul_(x).add_(x).clamp_(0, 1)
