"""Cocentric sine waves of ImageNet-C-bar, spelled as published."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from withstand.functional.precision import in_double
from withstand.functional.random import Rng, uniform
from withstand.functional.tensors import Device, Images
from withstand.perturbations.corruptions.c_bar.c_bar import CBar


@dataclass(frozen=True, kw_only=True)
class CocentricSineWaves(CBar):
    """Add saw-toothed rings around a point, wavy along their angle, to all channels: 12.8 L levels high.

    Source:
        augmentation-corruption, `cocentric_sine_waves`; the level L is `tables`. See CBar.
    """

    tables: ClassVar = {224: (3, 5, 8, 9, 10)}

    def sample(self, shape: Sequence[int], *, rng: Rng, device: Device | None = None) -> Float[Tensor, "batch 5"]:
        """Return column and row of the centre, waves per turn (below 10), their amplitude and the width of a ring.

        Lengths are in pixels: the centre lies in the image, the last two are below S / 10.
        """
        height, width = shape[-2:]
        side = min(height, width) / 10
        most = torch.tensor([width, height, 10.0, side, side])
        numbers = uniform((shape[0], 5), rng=rng, device=device)
        return numbers.clamp_(min=2.0**-25) * most.to(numbers)

    def corrupt(self, x: Images, parameters: Float[Tensor, "batch 5"]) -> Images:
        """Add the rings."""
        parameters = in_double(parameters)  # a tooth has a sharp edge
        left, top, waves, amplitude, width = parameters[..., None, None].unbind(1)
        across = torch.arange(x.shape[-1], device=parameters.device) - left
        down = torch.arange(x.shape[-2], device=parameters.device)[:, None] - top
        place = torch.hypot(across, down) + amplitude * torch.sin(waves * torch.atan2(across, down))
        teeth = (place.remainder(width) / width - 0.5).to(x)
        return torch.add(x, teeth[:, None], alpha=12.8 / 255 * self._level(x)).clamp_(0, 1)
