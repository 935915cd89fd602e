"""Colour quantisation of 3DCC."""

from dataclasses import dataclass
from typing import ClassVar

from withstand.functional.levels import to_levels
from withstand.functional.tensors import Images
from withstand.perturbations.corruptions.three_dcc.three_dcc import ThreeDCC


@dataclass(frozen=True, kw_only=True)
class ColorQuant(ThreeDCC):
    """Keep the upper b of the 8 bits of every value; nothing is random.

    Source:
        3DCC, colour quantisation; b is `tables`. See ThreeDCC.
        Differs: between severities, b is not whole; values are cut to multiples of 2^(8 - b) levels.
    """

    tables: ClassVar = {224: (5, 4, 3, 2, 1)}

    def corrupt(self, x: Images, parameters: None) -> Images:
        """Set the lower bits to 0."""
        step = 2 ** (8 - self.published(*x.shape[-2:]))
        return (to_levels(x).to(x.dtype) / step).floor_().mul_(step / 255)
