"""JPEG compression of ImageNet-C."""

from dataclasses import dataclass
from typing import ClassVar

from withstand.functional.kernels.jpeg import jpeg
from withstand.functional.levels import to_levels
from withstand.functional.tensors import Images, Levels
from withstand.perturbations.base import Corruption


@dataclass(frozen=True, kw_only=True)
class JpegCompression(Corruption):
    """Compress as JPEG with quality c and 4:2:0 chroma subsampling.

    Source:
        hendrycks/robustness, ImageNet-C/create_c, `jpeg_compression`: Pillow's `save`; c is `tables`.
        Differs: images with one channel are saved in greyscale. Between severities, c is rounded to a whole number.
    """

    whole: ClassVar = (0,)
    tables: ClassVar = {
        224: (25, 18, 15, 10, 7),
        299: (23, 16, 13, 8, 5),
        64: (65, 58, 50, 40, 25),
        32: (80, 65, 58, 50, 40),
    }

    def corrupt(self, x: Images, parameters: None) -> Images:
        """Encode and decode."""
        return jpeg(to_levels(x), quality=self.published(*x.shape[-2:])).to(x.dtype).div_(255)

    def corrupt_levels(self, levels: Levels, parameters: None) -> Levels:
        """Encode and decode, in 8 bits."""
        return jpeg(levels, quality=self.published(*levels.shape[-2:]))
