"""Caustic refraction of ImageNet-C-bar."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import nn

from withstand.functional.kernels.procedural.caustics import caustics
from withstand.functional.kernels.procedural.sampling import bilinear
from withstand.functional.random import Rng, uniform
from withstand.functional.tensors import Device, Images, PerRow
from withstand.perturbations.corruptions.c_bar.c_bar import CBar

_ETA = 4.0  # index of refraction
_UPRIGHT = 0.999  # from this cosine of a normal to the vertical on, nothing is refracted


@dataclass(frozen=True, kw_only=True)
class CausticRefraction(CBar):
    """Look through rippled water: refraction by up to 0.05 L S pixels, and light of strength 0.2 L from one side.

    Source:
        augmentation-corruption, `caustic_refraction`; the level L is `tables`. See CBar.
    """

    tables: ClassVar = {224: (2.35, 3.2, 4.9, 6.6, 9.15)}

    def sample(self, shape: Sequence[int], *, rng: Rng, device: Device | None = None) -> tuple[PerRow, PerRow]:
        """Return the time, from 0.5 to 2, and the size of the waves in pixels, from 0.75 S to 1.25 S."""
        time, size = uniform((shape[0], 2), rng=rng, device=device).unbind(1)
        return 0.5 + 1.5 * time, min(shape[-2:]) * (0.75 + size / 2)

    def corrupt(self, x: Images, parameters: tuple[PerRow, PerRow]) -> Images:
        """Refract the image and light it."""
        height, width = x.shape[-2:]
        level, (time, size) = self._level(x), parameters
        surface = nn.functional.pad(caustics(height, width, time.to(x), size.to(x)), (1, 1, 1, 1))
        down = surface[:, 2:, 1:-1] - surface[:, :-2, 1:-1]
        across = surface[:, 1:-1, 2:] - surface[:, 1:-1, :-2]
        squares = down.square().add_(across.square())
        cosine = (1 + squares).rsqrt_()
        slope = squares.sqrt()
        refracted = slope * cosine / _ETA  # sine of the angle behind the surface
        way = slope * cosine * (1 - refracted.square()).sqrt_() - cosine * refracted
        factor = way.mul_(0.05 * level * min(height, width)).div_(slope)
        factor.masked_fill_(squares <= _UPRIGHT**-2 - 1, 0)
        rows, columns = (torch.round(factor * each, decimals=3) for each in (down, across))
        rows += torch.arange(height, device=x.device)[:, None]
        columns += torch.arange(width, device=x.device)
        light = (down - across).mul_(0.2 * level)
        return bilinear(x, rows, columns).add_(light[:, None]).clamp_(0, 1)
