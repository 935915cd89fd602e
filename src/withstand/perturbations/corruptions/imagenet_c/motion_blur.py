"""Motion blur of ImageNet-C."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from withstand.functional.kernels.motion import motion_blur
from withstand.functional.random import Rng, uniform
from withstand.functional.tensors import Device, Images, PerRow
from withstand.perturbations.base import Corruption


@dataclass(frozen=True, kw_only=True)
class MotionBlur(Corruption):
    """Blur along a line of random direction, at most 45 degrees from the horizontal.

    Source:
        hendrycks/robustness, ImageNet-C/create_c, `motion_blur`, with ImageMagick; `tables` holds half the length
        of the line and the standard deviation of the weights along it, in pixels. Between severities, the first is
        rounded to whole pixels.
    """

    whole: ClassVar = (0,)
    tables: ClassVar = {
        224: ((10, 3), (15, 5), (15, 8), (15, 12), (20, 15)),
        299: ((12, 4), (17, 6), (17, 9), (17, 13), (22, 16)),
        64: ((10, 1), (10, 1.5), (10, 2), (10, 2.5), (12, 3)),
        32: ((6, 1), (6, 1.5), (6, 2), (8, 2), (9, 2.5)),
    }

    def sample(self, shape: Sequence[int], *, rng: Rng, device: Device | None = None) -> PerRow:
        """Return angles in degrees."""
        return uniform((shape[0],), rng=rng, device=device) * 90 - 45

    def corrupt(self, x: Images, parameters: PerRow) -> Images:
        """Blur along the line."""
        radius, std = self.published(*x.shape[-2:])
        return motion_blur(x, parameters, radius=radius, std=std)
