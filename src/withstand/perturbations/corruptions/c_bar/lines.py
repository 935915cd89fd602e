"""Lines of CIFAR-10-C-bar."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import pi
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from withstand.functional.kernels.procedural.antialiased import line_weights
from withstand.functional.precision import in_double
from withstand.functional.random import Rng, uniform
from withstand.functional.tensors import Device, Images, PerRow
from withstand.perturbations.corruptions.c_bar.c_bar import CBar

_GREY = 128


@dataclass(frozen=True, kw_only=True)
class Lines(CBar):
    """Draw L S / 10 grey lines, level 128 and 2 S pixels long, of similar directions.

    Source:
        augmentation-corruption, `lines`; the level L is `tables`. See CBar.
    """

    tables: ClassVar = {32: (0.5, 1, 1.5, 2, 2.5)}

    def sample(
        self, shape: Sequence[int], *, rng: Rng, device: Device | None = None
    ) -> tuple[PerRow, PerRow, Float[Tensor, "batch line 3"]]:
        """Return the angle, below 2 pi, its variation in turns, from 0.1 to 1, and three numbers below 1 per line."""
        height, width = shape[-2:]
        count = int(self.published(height, width) * min(height, width) / 10)
        angle, variation = uniform((shape[0], 2), rng=rng, device=device).unbind(1)
        return angle * (2 * pi), 0.1 + 0.9 * variation, uniform((shape[0], count, 3), rng=rng, device=device)

    def corrupt(self, x: Images, parameters: tuple[PerRow, PerRow, Float[Tensor, "batch line 3"]]) -> Images:
        """Draw the lines, one after the other."""
        height, width = x.shape[-2:]
        angle, variation, numbers = (in_double(each) for each in parameters)
        angles = angle[:, None] + 2 * pi * variation[:, None] * (numbers[..., 2] - 0.5)
        centres = numbers[..., :2] * numbers.new_tensor([height, width])
        way = min(height, width) * torch.stack([angles.cos(), angles.sin()], -1)
        ends = torch.stack([centres - way, centres + way], 2).trunc().long()
        levels = (in_double(x) * 255 + 1e-3).floor_()
        for own in ends.unbind(1):
            weights = line_weights(own, height, width)[:, None].to(levels)
            levels = (levels * (1 - weights)).add_(weights, alpha=_GREY).trunc_()
        return levels.div_(255).to(x)
