"""Gaussian noise of ImageNet-C."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from jaxtyping import Float
from torch import Tensor

from withstand.functional.random import Rng, normal
from withstand.perturbations.base import Corruption


@dataclass(frozen=True, kw_only=True)
class GaussianNoise(Corruption):
    """Gaussian noise, independent per pixel and channel: clip(x + c n), n ~ N(0, 1).

    Source:
        hendrycks/robustness, ImageNet-C/create_c, `gaussian_noise`; c is `tables`, a standard deviation.
    """

    severity: int = 3
    pixels: Literal[224, 299, 64, 32] | None = None

    tables: ClassVar = {
        224: (0.08, 0.12, 0.18, 0.26, 0.38),
        299: (0.09, 0.13, 0.19, 0.27, 0.40),
        64: (0.04, 0.08, 0.12, 0.15, 0.18),
        32: (0.04, 0.06, 0.08, 0.09, 0.10),
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
        return torch.add(x, parameters, alpha=std).clamp_(0, 1)
