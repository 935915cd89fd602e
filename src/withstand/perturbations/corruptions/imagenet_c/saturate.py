"""Saturate of ImageNet-C, an extra corruption."""

from dataclasses import dataclass
from typing import ClassVar

from withstand.functional.kernels.colour import saturate
from withstand.functional.tensors import Images
from withstand.perturbations.base import Corruption


@dataclass(frozen=True, kw_only=True)
class Saturate(Corruption):
    """Change the saturation S of the HSV colour model to a S + b, clipped to 1.

    Source:
        hendrycks/robustness, ImageNet-C/create_c, `saturate`; (a, b) are `tables`.
        Differs: computed in closed form, without hue; images with one channel have no saturation and stay unchanged.
        Between severities 2 and 3, a passes 1, at which nothing changes.
    """

    tables: ClassVar = {
        224: ((0.3, 0), (0.1, 0), (2, 0), (5, 0.1), (20, 0.2)),
        299: ((0.3, 0), (0.1, 0), (2, 0), (5, 0.1), (20, 0.2)),
        64: ((0.3, 0), (0.1, 0), (2, 0), (5, 0.1), (30, 0.2)),
        32: ((0.3, 0), (0.1, 0), (1.5, 0), (2, 0.1), (2.5, 0.2)),
    }

    def corrupt(self, x: Images, parameters: None) -> Images:
        """Change the saturation."""
        factor, amount = self.published(*x.shape[-2:])
        return saturate(x, factor, amount)
