"""Gaussian noise of ImageNet-C."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch

from withstand.functional.random import Rng, normal
from withstand.functional.tensors import Device, Images
from withstand.perturbations.base import Corruption


@dataclass(frozen=True, kw_only=True)
class GaussianNoise(Corruption):
    """Gaussian noise, independent per pixel and channel: clip(x + c n), n ~ N(0, 1).

    Source:
        hendrycks/robustness, ImageNet-C/create_c, `gaussian_noise`; c is `tables`, a standard deviation.
    """

    tables: ClassVar = {
        224: (0.08, 0.12, 0.18, 0.26, 0.38),
        299: (0.09, 0.13, 0.19, 0.27, 0.40),
        64: (0.04, 0.08, 0.12, 0.15, 0.18),
        32: (0.04, 0.06, 0.08, 0.09, 0.10),
    }

    def sample(self, shape: Sequence[int], *, rng: Rng, device: Device | None = None) -> Images:
        """Return standard normal numbers."""
        return normal(shape, rng=rng, device=device)

    def corrupt(self, x: Images, parameters: Images) -> Images:
        """Add the noise."""
        std = self.published(*x.shape[-2:])
        return torch.add(x, parameters, alpha=std).clamp_(0, 1)
