"""Speckle noise of ImageNet-C, an extra corruption."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from withstand.functional.random import Rng, normal
from withstand.functional.tensors import Device, Images
from withstand.perturbations.base import Corruption


@dataclass(frozen=True, kw_only=True)
class SpeckleNoise(Corruption):
    """Multiplicative Gaussian noise, independent per value: clip(x + c x n), n ~ N(0, 1).

    One of the extra corruptions that ImageNet-C keeps for validation; they do not count in its mean.

    Source:
        hendrycks/robustness, ImageNet-C/create_c, `speckle_noise`; c is `tables`, a std at x = 1.
    """

    tables: ClassVar = {
        224: (0.15, 0.2, 0.35, 0.45, 0.6),
        299: (0.16, 0.21, 0.36, 0.46, 0.61),
        64: (0.15, 0.2, 0.25, 0.3, 0.35),
        32: (0.06, 0.1, 0.12, 0.16, 0.2),
    }

    def sample(self, shape: Sequence[int], *, rng: Rng, device: Device | None = None) -> Images:
        """Return standard normal numbers."""
        return normal(shape, rng=rng, device=device)

    def corrupt(self, x: Images, parameters: Images) -> Images:
        """Add the noise."""
        std = self.published(*x.shape[-2:])
        return (std * parameters).mul_(x).add_(x).clamp_(0, 1)
