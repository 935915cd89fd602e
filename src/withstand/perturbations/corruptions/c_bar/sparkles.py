"""Sparkles of ImageNet-C-bar and CIFAR-10-C-bar."""

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

_NUM_STARS = 5


@dataclass(frozen=True, kw_only=True)
class Sparkles(CBar):
    """Add five white stars; their light has the radius 0.01 L S.

    Source:
        augmentation-corruption, `sparkles`; the level L is `tables`. See CBar.
    """

    tables: ClassVar = {224: (1, 2, 3, 5, 6), 32: (0.7, 3.5, 5.6, 6.3, 7)}

    def sample(
        self, shape: Sequence[int], *, rng: Rng, device: Device | None = None
    ) -> tuple[Float[Tensor, "batch 5 2"], Int[Tensor, "batch 5"], Float[Tensor, "batch 5 199"]]:
        """Return rows and columns of the centres, 50 to 199 rays per star, and a standard normal number per ray."""
        centres = uniform((shape[0], _NUM_STARS, 2), rng=rng, device=device)
        rays = integers((shape[0], _NUM_STARS), 50, MOST_RAYS + 1, rng=rng, device=device)
        normals = normal((shape[0], _NUM_STARS, MOST_RAYS), rng=rng, device=device)
        return centres * torch.tensor(shape[-2:], device=centres.device), rays, normals

    def corrupt(
        self,
        x: Images,
        parameters: tuple[Float[Tensor, "batch 5 2"], Int[Tensor, "batch 5"], Float[Tensor, "batch 5 199"]],
    ) -> Images:
        """Add the stars."""
        height, width = x.shape[-2:]
        centres, rays, normals = parameters
        lengths = ray_lengths(0.01 * self._level(x) * min(height, width), normals).clamp_(min=1)
        dark = x.new_ones(())
        for own in range(_NUM_STARS):
            star_of_each = star(height, width, centres[:, own].to(x), rays[:, own], lengths[:, own].to(x))
            dark = dark * (1 - star_of_each)
        return (1 - (1 - x) * dark[:, None]).clamp_(0, 1)
