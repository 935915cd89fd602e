"""Zoom blur of ImageNet-C."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from withstand.functional.kernels.zoom import mean_of_zooms
from withstand.functional.tensors import Images
from withstand.perturbations.base import Corruption


@dataclass(frozen=True, kw_only=True)
class ZoomBlur(Corruption):
    """Average the image with enlarged copies of its centre.

    Source:
        hendrycks/robustness, ImageNet-C/create_c, `zoom_blur`; `tables` holds the end and the step of the zoom factors.
        They start at 1, so that the image itself counts twice, and are computed by `numpy.arange`; whether it includes
        the last factor depends on rounding.
        Differs: sums the weights of each pixel first, then the image, in float32.
    """

    tables: ClassVar = {
        224: ((1.11, 0.01), (1.16, 0.01), (1.21, 0.02), (1.26, 0.02), (1.31, 0.03)),
        299: ((1.11, 0.01), (1.16, 0.01), (1.21, 0.02), (1.26, 0.02), (1.31, 0.03)),
        64: ((1.06, 0.01), (1.11, 0.01), (1.16, 0.01), (1.21, 0.01), (1.26, 0.01)),
        32: ((1.06, 0.01), (1.11, 0.01), (1.16, 0.01), (1.21, 0.01), (1.26, 0.01)),
    }

    def corrupt(self, x: Images, parameters: None) -> Images:
        """Take the mean."""
        stop, step = self.published(*x.shape[-2:])
        return mean_of_zooms(x, np.arange(1, stop, step).tolist()).clamp_(0, 1)
