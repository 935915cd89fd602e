"""Blue-noise sample of ImageNet-C-bar and CIFAR-10-C-bar."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import pi
from typing import ClassVar

from jaxtyping import Float
from torch import Tensor

from withstand.functional.kernels.procedural.spectral_noise import frequencies, spectral_noise
from withstand.functional.random import Rng, uniform
from withstand.functional.tensors import Device, Images
from withstand.perturbations.corruptions.c_bar.c_bar import CBar


@dataclass(frozen=True, kw_only=True)
class BlueNoiseSample(CBar):
    """Keep the pixels at which blue noise of standard deviation 1 exceeds 0.3 L - 2.5; all others become black.

    Source:
        augmentation-corruption, `blue_noise_sample`; the level L is `tables`. See CBar.
    """

    tables: ClassVar = {224: (0.8, 1.6, 2.4, 4, 5.6), 32: (0.7, 1.4, 2.1, 3.5, 4.2)}

    def sample(
        self, shape: Sequence[int], *, rng: Rng, device: Device | None = None
    ) -> Float[Tensor, "batch height half"]:
        """Return phases below 2 pi for half of the spectrum."""
        return uniform((shape[0], shape[-2], (shape[-1] + 1) // 2), rng=rng, device=device).mul_(2 * pi)

    def corrupt(self, x: Images, parameters: Float[Tensor, "batch height half"]) -> Images:
        """Blacken pixels."""
        noise = spectral_noise(parameters, frequencies(*x.shape[-2:]))
        return x.masked_fill((noise <= 0.3 * self._level(x) - 2.5).to(x.device)[:, None], 0)
