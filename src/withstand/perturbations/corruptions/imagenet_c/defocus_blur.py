"""Defocus blur of ImageNet-C."""

from dataclasses import dataclass
from typing import ClassVar

from withstand.functional.kernels.disk import correlate, disk
from withstand.functional.kernels.gaussian import in_float64
from withstand.functional.tensors import Images
from withstand.perturbations.base import Corruption

# Kernels with at most this many rows are those of small images, for which there is time to round as the original does.
_EXACT = 5


@dataclass(frozen=True, kw_only=True)
class DefocusBlur(Corruption):
    """Convolve with a disk.

    Source:
        hendrycks/robustness, ImageNet-C/create_c, `defocus_blur`, with OpenCV's `filter2D`; `tables` holds the
        radius of the disk and the standard deviation that smoothes its edge, in pixels. The weights are those of the
        original, whose sum is 1.013 and 1.011 for radii 8 and 10: these make the image brighter.
    """

    tables: ClassVar = {
        224: ((3, 0.1), (4, 0.5), (6, 0.5), (8, 0.5), (10, 0.5)),
        299: ((4, 0.1), (5, 0.5), (7, 0.5), (10, 0.5), (12, 0.5)),
        64: ((0.5, 0.6), (1, 0.1), (1.5, 0.1), (2.5, 0.01), (3, 0.1)),
        32: ((0.3, 0.4), (0.4, 0.5), (0.5, 0.6), (1, 0.2), (1.5, 0.1)),
    }

    def corrupt(self, x: Images, parameters: None) -> Images:
        """Convolve with the disk."""
        radius, std = self.published(*x.shape[-2:])
        kernel = disk(radius, std)
        if len(kernel) > _EXACT:
            return correlate(x, kernel).clamp_(0, 1)
        return correlate(in_float64(x), kernel).mul_(255).floor_().div_(255).to(x).clamp_(0, 1)
