"""Impulse noise of ImageNet-C."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Shaped
from torch import Tensor

from withstand.functional.random import Rng, uniform
from withstand.functional.tensors import Device, Images
from withstand.perturbations.base import Corruption


@dataclass(frozen=True, kw_only=True)
class ImpulseNoise(Corruption):
    """Replace each value with probability c by 0 or 1, equally likely.

    Source:
        hendrycks/robustness, ImageNet-C/create_c, `impulse_noise`, which calls scikit-image's `random_noise`;
        c is `tables`, a fraction.
    """

    tables: ClassVar = {
        224: (0.03, 0.06, 0.09, 0.17, 0.27),
        299: (0.04, 0.07, 0.10, 0.18, 0.28),
        64: (0.01, 0.02, 0.05, 0.08, 0.14),
        32: (0.01, 0.02, 0.03, 0.05, 0.07),
    }

    def sample(
        self, shape: Sequence[int], *, rng: Rng, device: Device | None = None
    ) -> tuple[Shaped[Tensor, "batch channel height width"], Shaped[Tensor, "batch channel height width"]]:
        """Return masks of the replaced values, and of those that become 1."""
        amount = self.published(*shape[-2:])
        # One number decides both, and is as fine as 2^-24.
        numbers = uniform(shape, rng=rng, device=device)
        return numbers.clone().lt_(amount), numbers.lt_(amount / 2)

    def corrupt(
        self,
        x: Images,
        parameters: tuple[Shaped[Tensor, "batch channel height width"], Shaped[Tensor, "batch channel height width"]],
    ) -> Images:
        """Replace the masked values."""
        flipped, salted = parameters
        return torch.lerp(x, salted.to(x.dtype), flipped.to(x.dtype))
