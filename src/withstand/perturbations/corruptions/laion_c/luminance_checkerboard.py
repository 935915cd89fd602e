"""Luminance checkerboard of LAION-C."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from withstand.functional.levels import to_levels
from withstand.functional.random import Rng, uniform
from withstand.functional.tensors import Device, Images
from withstand.perturbations.corruptions.laion_c.laion_c import LaionC

_TILES = 16  # along the side


@dataclass(frozen=True, kw_only=True)
class LuminanceCheckerboard(LaionC):
    """Brighten the white tiles of a checkerboard and darken the black ones, each by its own amount from a to b levels.

    Source:
        LAION-C, `luminance_checkerboard`; (a, b) are `tables`, and tiles are 14 x 14 pixels. See LaionC.
        Differs: each image has amounts of its own; the original's loader shares them between two images.
    """

    tables: ClassVar = {224: ((0, 50), (50, 100), (100, 125), (125, 150), (150, 255))}

    def sample(
        self, shape: Sequence[int], *, rng: Rng, device: Device | None = None
    ) -> Float[Tensor, "batch rows columns"]:
        """Return the amount of each tile, in levels."""
        low, high = self.published(*shape[-2:])
        rows, columns = ((size - 1) * _TILES // min(shape[-2:]) + 1 for size in shape[-2:])
        return uniform((shape[0], rows, columns), rng=rng, device=device).mul_(high - low).add_(low)

    def corrupt(self, x: Images, parameters: Float[Tensor, "batch rows columns"]) -> Images:
        """Add and subtract the amounts."""
        side = min(x.shape[-2:])
        row, column = (torch.arange(size, device=x.device) * _TILES // side for size in x.shape[-2:])
        signs = 1 - 2 * (row[:, None] + column).remainder(2)
        amounts = (parameters[:, row][:, :, column] * signs).floor()  # cut here, since the levels are whole
        return (to_levels(x) + amounts[:, None].to(x)).clamp_(0, 255).div_(255)
