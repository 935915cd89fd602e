"""Brightness of ImageNet-C."""

from dataclasses import dataclass
from typing import ClassVar

from withstand.functional.kernels.colour import brighten
from withstand.functional.tensors import Images
from withstand.perturbations.base import Corruption


@dataclass(frozen=True, kw_only=True)
class Brightness(Corruption):
    """Add c to the value V of the HSV colour model, clipped to 1.

    Source:
        hendrycks/robustness, ImageNet-C/create_c, `brightness`; c is `tables`, in units of V.
        Differs: computed in closed form, without hue and saturation; with one channel, that channel is V.
    """

    tables: ClassVar = {
        224: (0.1, 0.2, 0.3, 0.4, 0.5),
        299: (0.1, 0.2, 0.3, 0.4, 0.5),
        64: (0.1, 0.2, 0.3, 0.4, 0.5),
        32: (0.05, 0.1, 0.15, 0.2, 0.3),
    }

    def corrupt(self, x: Images, parameters: None) -> Images:
        """Increase the value V."""
        return brighten(x, self.published(*x.shape[-2:]))
