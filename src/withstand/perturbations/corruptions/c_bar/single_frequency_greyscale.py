"""Single-frequency greyscale of ImageNet-C-bar."""

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


@dataclass(frozen=True, kw_only=True)
class SingleFrequencyGreyscale(CBar):
    """Add a plane wave of amplitude 19.6 L levels to all channels.

    Source:
        augmentation-corruption, `single_frequency_greyscale`; the level L is `tables`. See CBar.
    """

    tables: ClassVar = {224: (1, 1.5, 2, 4.5, 5)}

    def sample(
        self, shape: Sequence[int], *, rng: Rng, device: Device | None = None
    ) -> tuple[Float[Tensor, "batch 2"], PerRow]:
        """Return the frequencies along columns and rows, from -pi to pi per pixel, and the phase, below 2 pi.

        One is uniform; the other, at random which, is uniform among those that are not larger in size.
        """
        first, second, order, phase = uniform((shape[0], 4), rng=rng, device=device).unbind(1)
        larger = (2 * first - 1) * pi
        smaller = larger.abs() * (2 * second - 1)
        pair = torch.stack([larger, smaller], 1)
        return torch.where(order[:, None] < 0.5, pair, pair.flip(1)), phase * (2 * pi)

    def corrupt(self, x: Images, parameters: tuple[Float[Tensor, "batch 2"], PerRow]) -> Images:
        """Add the wave."""
        frequencies, phase = (in_double(each) for each in parameters)
        across, down = (
            frequencies[:, axis, None] * torch.arange(size, device=phase.device)
            for axis, size in enumerate((x.shape[-1], x.shape[-2]))
        )
        across, down = across[:, None], (down + phase[:, None])[:, :, None]
        # The sine of a sum by those of its parts, of which there are few.
        (sin_x, cos_x), (sin_y, cos_y) = ((each.sin().to(x), each.cos().to(x)) for each in (across, down))
        wave = (sin_x * cos_y).addcmul_(cos_x, sin_y)[:, None]
        return torch.add(x, wave, alpha=19.6 / 255 * self._level(x)).clamp_(0, 1)
