"""Transverse chromatic abberation of CIFAR-10-C-bar, spelled as published."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Int
from torch import Tensor

from withstand.functional.kernels.procedural.splines import enlarging
from withstand.functional.precision import in_double
from withstand.functional.random import Rng, uniform
from withstand.functional.tensors import Device, Images
from withstand.perturbations.corruptions.c_bar.c_bar import CBar


@dataclass(frozen=True, kw_only=True)
class TransverseChromaticAbberation(CBar):
    """Enlarge the channels by 1, 1 + 0.025 L and 1 + 0.05 L, in random order; this also blurs.

    Source:
        augmentation-corruption, `transverse_chromatic_abberation`; the level L is `tables`. See CBar. As in the
        original, values are rounded, not floored.
        Differs: an image with one channel gets the enlargement that its red channel would get.
    """

    tables: ClassVar = {32: (1, 2, 5, 9, 10)}

    def sample(self, shape: Sequence[int], *, rng: Rng, device: Device | None = None) -> Int[Tensor, "batch 3"]:
        """Return for red, green and blue the number of the enlargement: 0, 1 and 2 in random order."""
        return uniform((shape[0], 3), rng=rng, device=device).argsort(1)

    def corrupt(self, x: Images, parameters: Int[Tensor, "batch 3"]) -> Images:
        """Enlarge the channels."""
        wide = in_double(x)
        scales = [1 + 0.025 * self._level(x) * number for number in range(3)]
        chosen = parameters[:, : x.shape[1]].to(wide.device)
        down, across = (
            torch.stack([enlarging(size, scale) for scale in scales]).to(wide)[chosen] for size in x.shape[-2:]
        )
        levels = (down @ wide @ across.mT).mul_(255).add_(0.5).floor_()
        return levels.clamp_(0, 255).div_(255).to(x)
