"""Checkerboard cutout of ImageNet-C-bar and CIFAR-10-C-bar."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import pi
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from withstand.functional.precision import in_double
from withstand.functional.random import Rng, uniform
from withstand.functional.tensors import Device, Images, PerRow
from withstand.perturbations.corruptions.c_bar.c_bar import CBar

_GREY = 128 / 255
_MOST = 40  # tiles along an axis that have a number of their own


@dataclass(frozen=True, kw_only=True)
class CheckerboardCutout(CBar):
    """Replace a share L / 10 of the black tiles of a turned checkerboard with grey, level 128.

    Source:
        augmentation-corruption, `checkerboard_cutout`; the level L is `tables`. See CBar. As in the original,
        tiles -1 and 0 along an axis share their random number.
    """

    tables: ClassVar = {224: (2, 3, 4, 5, 6), 32: (1, 2, 3, 4, 5)}

    def sample(
        self, shape: Sequence[int], *, rng: Rng, device: Device | None = None
    ) -> tuple[PerRow, PerRow, Float[Tensor, "batch 40 40"]]:
        """Return the angle, the side of a tile in pixels, 0.1 S to 0.25 S but at least 1, and numbers below 1.

        Each tile has one number; tiles of negative numbers count from the end of an axis.
        """
        angle, side = uniform((shape[0], 2), rng=rng, device=device).unbind(1)
        side = (min(shape[-2:]) * (0.1 + 0.15 * side)).clamp_(min=1)
        return angle * (2 * pi), side, uniform((shape[0], _MOST, _MOST), rng=rng, device=device)

    def corrupt(self, x: Images, parameters: tuple[PerRow, PerRow, Float[Tensor, "batch 40 40"]]) -> Images:
        """Replace tiles."""
        angle, side, numbers = (in_double(each) for each in parameters)  # tiles have sharp edges
        sin, cos, side = (each[:, None, None] for each in (angle.sin(), angle.cos(), side))
        row = torch.arange(x.shape[-2], device=side.device)[:, None]
        column = torch.arange(x.shape[-1], device=side.device)
        down, across = (cos * row + sin * column) / side, (cos * column - sin * row) / side
        place = down.trunc().remainder(_MOST) * _MOST + across.trunc().remainder(_MOST)
        chosen = numbers.flatten(1).gather(1, place.long().flatten(1)).view_as(place) < self._level(x) / 10
        chosen &= (down.floor() + across.floor()).remainder(2) == 0
        return x.masked_fill(chosen.to(x.device)[:, None], _GREY)
