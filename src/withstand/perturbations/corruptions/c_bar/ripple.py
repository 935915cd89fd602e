"""Ripple of CIFAR-10-C-bar."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import pi
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from withstand.functional.kernels.procedural.sampling import bilinear
from withstand.functional.precision import in_double
from withstand.functional.random import Rng, uniform
from withstand.functional.tensors import Device, Images
from withstand.perturbations.corruptions.c_bar.c_bar import CBar


@dataclass(frozen=True, kw_only=True)
class Ripple(CBar):
    """Move rows up and down and columns left and right in waves of amplitude 0.0025 L S pixels.

    Source:
        augmentation-corruption, `ripple`; the level L is `tables`. See CBar.
    """

    tables: ClassVar = {32: (5.5, 6, 6.5, 7.5, 8)}

    def sample(
        self, shape: Sequence[int], *, rng: Rng, device: Device | None = None
    ) -> tuple[Float[Tensor, "batch 2"], Float[Tensor, "batch 2"]]:
        """Return the wavelengths, 0.1 S to 0.3 S pixels, and the phases, below 2 pi, of rows and columns."""
        numbers = uniform((shape[0], 4), rng=rng, device=device)
        return min(shape[-2:]) * (0.1 + 0.2 * numbers[:, :2]), numbers[:, 2:] * (2 * pi)

    def corrupt(self, x: Images, parameters: tuple[Float[Tensor, "batch 2"], Float[Tensor, "batch 2"]]) -> Images:
        """Move rows and columns."""
        lengths, phases = (in_double(each) for each in parameters)
        amplitude = 0.0025 * self._level(x) * min(x.shape[-2:])
        places = []
        for axis, size in enumerate(x.shape[-2:]):
            place = torch.arange(size, dtype=lengths.dtype, device=lengths.device)
            angle = 2 * pi * place / lengths[:, axis, None] + phases[:, axis, None]
            places.append((place + amplitude * angle.sin()).to(x))
        rows, columns = places[0][:, :, None], places[1][:, None]
        return bilinear(x, *torch.broadcast_tensors(rows, columns)).clamp_(0, 1)
