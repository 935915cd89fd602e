"""Plasma noise of ImageNet-C-bar."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import pi
from typing import ClassVar

import torch
from jaxtyping import Float, Int
from torch import Tensor

from withstand.functional.random import Rng, integers, uniform
from withstand.functional.tensors import Device, Images, PerRow
from withstand.perturbations.corruptions.c_bar.c_bar import CBar

_MOST_TURNS = 6


@dataclass(frozen=True, kw_only=True)
class PlasmaNoise(CBar):
    """Mix the image with coloured plasma from -1 to 1, of weight 6.4 L / 255; this mostly darkens it.

    Source:
        augmentation-corruption, `plasma_noise`; the level L is `tables`. See CBar.
        Differs: an image with one channel gets the mean of the three colours.
    """

    tables: ClassVar = {224: (4.75, 7, 8.5, 9.25, 10)}

    def sample(
        self, shape: Sequence[int], *, rng: Rng, device: Device | None = None
    ) -> tuple[PerRow, Int[Tensor, " batch"], PerRow, PerRow]:
        """Return the time (below 6 pi), 4 to 6 turns, the sharpness (0.5 to 1) and the scale (0.075 S to 0.2 S)."""
        turns = integers((shape[0],), 4, _MOST_TURNS + 1, rng=rng, device=device)
        time, sharpness, scale = uniform((shape[0], 3), rng=rng, device=device).unbind(1)
        side = min(shape[-2:])
        return time * (6 * pi), turns, 0.5 + sharpness / 2, side * (0.075 + 0.125 * scale)

    def corrupt(self, x: Images, parameters: tuple[PerRow, Int[Tensor, " batch"], PerRow, PerRow]) -> Images:
        """Mix with the plasma."""
        time, turns, sharpness, scale = (each.to(x)[:, None, None] for each in parameters)
        across = torch.arange(x.shape[-1], device=x.device) / scale
        down = torch.arange(x.shape[-2], device=x.device)[:, None] / scale
        for turn in range(_MOST_TURNS):
            frequency, slower = 1.93**turn, time / 1.15**turn
            strength = (turns > turn) / (2.25 - sharpness) ** turn
            to_right = torch.cos(frequency * down + slower) * strength
            to_below = torch.sin(frequency * across + slower) * strength
            across, down = across + to_right - 0.3 * to_below, down + to_below + 0.3 * to_right
        plasma = self._coloured(across, down, time, x)
        return x.lerp(plasma, 6.4 / 255 * self._level(x)).clamp_(0, 1)

    def _coloured(self, across: Tensor, down: Tensor, time: Tensor, x: Images) -> Float[Tensor, "batch channel h w"]:
        red, green, blue = across - time, (across + down + time.sin()) / 2, down + time
        colours = torch.stack([red, green, blue], 1).sin_()
        return colours if x.shape[1] == 3 else colours.mean(1, keepdim=True)
