"""Perlin noise of ImageNet-C-bar."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from jaxtyping import Float, Int
from torch import Tensor

from withstand.functional.kernels.procedural.gradient_noise import PERIOD, turbulence
from withstand.functional.random import Rng, integers, uniform
from withstand.functional.tensors import Device, Images
from withstand.perturbations.corruptions.c_bar.c_bar import CBar


@dataclass(frozen=True, kw_only=True)
class PerlinNoise(CBar):
    """Mix the image with the turbulence of Perlin noise, grey from 0.5 to 1, of weight 0.05 L.

    Source:
        augmentation-corruption, `perlin_noise`; the level L is `tables`. See CBar.
        Differs: all permutations of the hash are equally likely, which those of the original's shuffle are not quite.
    """

    tables: ClassVar = {224: (4.6, 5.2, 5.8, 7.6, 8.8)}

    def sample(
        self, shape: Sequence[int], *, rng: Rng, device: Device | None = None
    ) -> tuple[Int[Tensor, "batch 256"], Float[Tensor, "batch 256 2"]]:
        """Return a permutation of 0 to 255, and unit vectors toward the points of a square grid."""
        permutation = uniform((shape[0], PERIOD), rng=rng, device=device).argsort(1)
        gradients = integers((shape[0], PERIOD, 2), -PERIOD, PERIOD, rng=rng, device=device).float()
        return permutation, gradients / gradients.norm(dim=2, keepdim=True).clamp_(min=1)

    def corrupt(self, x: Images, parameters: tuple[Int[Tensor, "batch 256"], Float[Tensor, "batch 256 2"]]) -> Images:
        """Mix with the noise."""
        height, width = x.shape[-2:]
        whole = turbulence(height, width, *parameters, cell=32 * min(height, width) / 224, num_octaves=5)
        grey = (0.5 * whole + 0.5).clamp_(0, 1).to(x)[:, None]
        return x.lerp(grey, 0.05 * self._level(x)).clamp_(0, 1)
