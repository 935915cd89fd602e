"""Brownish noise of ImageNet-C-bar and CIFAR-10-C-bar."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import pi
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from withstand.functional.kernels.procedural.spectral_noise import frequencies, spectral_noise
from withstand.functional.random import Rng, uniform
from withstand.functional.tensors import Device, Images
from withstand.perturbations.corruptions.c_bar.c_bar import CBar


@dataclass(frozen=True, kw_only=True)
class BrownishNoise(CBar):
    """Add noise of standard deviation 6.4 L levels, with amplitudes 1 / (k^2 + 1) at frequency k, to each channel.

    Its mean is not removed, so each channel also moves as a whole.

    Source:
        augmentation-corruption, `brownish_noise`; the level L is `tables`. See CBar.
    """

    tables: ClassVar = {224: (1, 2, 3, 4, 5), 32: (2.5, 4, 5.5, 6.5, 7)}

    def sample(
        self, shape: Sequence[int], *, rng: Rng, device: Device | None = None
    ) -> Float[Tensor, "batch channel height half"]:
        """Return phases below 2 pi for half of the spectrum of each channel."""
        return uniform((*shape[:3], (shape[3] + 1) // 2), rng=rng, device=device).mul_(2 * pi)

    def corrupt(self, x: Images, parameters: Float[Tensor, "batch channel height half"]) -> Images:
        """Add the noise."""
        noise = spectral_noise(parameters, 1 / (frequencies(*x.shape[-2:]).square() + 1))
        return torch.add(x, noise.to(x), alpha=6.4 / 255 * self._level(x)).clamp_(0, 1)
