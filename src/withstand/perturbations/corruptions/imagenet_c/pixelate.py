"""Pixelate of ImageNet-C."""

from dataclasses import dataclass
from typing import ClassVar

import torch

from withstand.functional.kernels.boxes import grow, shrink
from withstand.functional.kernels.pixelated import pixelated
from withstand.functional.levels import to_levels
from withstand.functional.pieces import pieces
from withstand.functional.tensors import Images, Levels
from withstand.perturbations.base import Corruption

_CHUNK = 2**18  # pixels that are worked on at once on the CPU


@dataclass(frozen=True, kw_only=True)
class Pixelate(Corruption):
    """Shrink to c times the side lengths (rounded down), then enlarge.

    Source:
        hendrycks/robustness, ImageNet-C/create_c, `pixelate`: Pillow's `resize` with the BOX filter, both ways; c is
        `tables`, a fraction of the side. Enlarging with BOX repeats pixels.
    """

    tables: ClassVar = {
        224: (0.6, 0.5, 0.4, 0.3, 0.25),
        299: (0.5, 0.4, 0.3, 0.25, 0.2),
        64: (0.9, 0.8, 0.7, 0.6, 0.5),
        32: (0.95, 0.9, 0.85, 0.75, 0.65),
    }

    def corrupt(self, x: Images, parameters: None) -> Images:
        """Shrink and enlarge, in 8 bits."""
        height, width = x.shape[-2:]
        made = torch.empty_like(x)
        for part, out in pieces(_CHUNK // (height * width), x, made):
            small = shrink(to_levels(part).to(x.dtype), *self._small(height, width))
            grow(small.div_(255), height, width, out=out)
        return made

    def corrupt_levels(self, levels: Levels, parameters: None) -> Levels:
        """Shrink and enlarge; on a CPU through Pillow, with the same result."""
        if levels.device.type != "cpu":
            return super().corrupt_levels(levels, parameters)
        return pixelated(levels, *self._small(*levels.shape[-2:]))

    def _small(self, height: int, width: int) -> tuple[int, int]:
        share = self.published(height, width)
        return max(1, int(height * share)), max(1, int(width * share))
