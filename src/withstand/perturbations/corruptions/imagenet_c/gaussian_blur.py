"""Gaussian blur of ImageNet-C, an extra corruption."""

from dataclasses import dataclass
from typing import ClassVar

from withstand.functional.kernels.gaussian import blur
from withstand.functional.tensors import Images
from withstand.perturbations.base import Corruption


@dataclass(frozen=True, kw_only=True)
class GaussianBlur(Corruption):
    """Convolve each channel with a Gaussian of standard deviation c.

    Source:
        hendrycks/robustness, ImageNet-C/create_c, `gaussian_blur`, which calls scikit-image's `gaussian`;
        c is `tables`, in pixels.
    """

    tables: ClassVar = {
        224: (1, 2, 3, 4, 6),
        299: (1.5, 2.5, 3.5, 4.5, 6.5),
        64: (0.5, 0.75, 1, 1.25, 1.5),
        32: (0.4, 0.6, 0.7, 0.8, 1),
    }

    def corrupt(self, x: Images, parameters: None) -> Images:
        """Convolve with the Gaussian."""
        return blur(x, self.published(*x.shape[-2:]))
