"""Inverse sparkles of ImageNet-C-bar and CIFAR-10-C-bar."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float, Int
from torch import Tensor

from withstand.functional.kernels.procedural.rays import MOST_RAYS, ray_lengths, star
from withstand.functional.random import Rng, integers, normal, uniform
from withstand.functional.tensors import Device, Images
from withstand.perturbations.corruptions.c_bar.c_bar import CBar


@dataclass(frozen=True, kw_only=True)
class InverseSparkles(CBar):
    """Show the image through one star with a radius of S / 4, white outside; its edge is sharper, the larger L is.

    Source:
        augmentation-corruption, `inverse_sparkles`; the level L is `tables`. See CBar.
    """

    tables: ClassVar = {224: (1, 2, 4, 9, 10), 32: (1, 1.5, 2.5, 4.5, 5)}

    def sample(
        self, shape: Sequence[int], *, rng: Rng, device: Device | None = None
    ) -> tuple[Float[Tensor, "batch 2"], Int[Tensor, " batch"], Float[Tensor, "batch 199"]]:
        """Return row and column of the centre, in the middle half, 50 to 199 rays, and a normal number per ray."""
        centre = 0.25 + uniform((shape[0], 2), rng=rng, device=device) / 2
        rays = integers((shape[0],), 50, MOST_RAYS + 1, rng=rng, device=device)
        normals = normal((shape[0], MOST_RAYS), rng=rng, device=device)
        return centre * torch.tensor(shape[-2:], device=centre.device), rays, normals

    def corrupt(
        self, x: Images, parameters: tuple[Float[Tensor, "batch 2"], Int[Tensor, " batch"], Float[Tensor, "batch 199"]]
    ) -> Images:
        """Whiten what is outside of the star."""
        height, width = x.shape[-2:]
        centre, rays, normals = parameters
        lengths = ray_lengths(min(height, width) / 4, normals.to(x))
        light = star(height, width, centre.to(x), rays, lengths, power=0.13 * self._level(x))
        return (1 - (1 - x) * light[:, None]).clamp_(0, 1)
