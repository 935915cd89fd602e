"""TrivialAugment."""

from dataclasses import dataclass
from typing import ClassVar

import torch

from withstand.functional.augmentation import operations
from withstand.functional.augmentation.pillow import Whole
from withstand.functional.levels import to_levels
from withstand.functional.random import Rng, uniform
from withstand.functional.tensors import Images, PerRow
from withstand.perturbations.augmentations.augmentation import Augmentation
from withstand.perturbations.base import Perturbation

BINS = 31


@dataclass(frozen=True, kw_only=True)
class TrivialAugment(Augmentation):
    """Applies one random operation of random strength: TrivialAugment with the wide ranges.

    One of 14 operations: the identity, those of `AugMix`, color, contrast, brightness and sharpness. One of 31
    strengths, at most: shear 0.99, translate 32 pixels, rotate 135 degrees, factor 1.99 or 0.01, posterize to 2 bits,
    solarize all.

    Source:
        Mueller, Hutter: "TrivialAugment: Tuning-free Yet State-of-the-Art Data Augmentation", ICCV 2021, arXiv
        2103.10158, table 1 (wide).
        Differs: moved images are interpolated linearly.
    """

    operations: ClassVar = frozenset({"tone", "geometry", "filter"})

    def augment(self, x: Images, *, rng: Rng) -> Images:
        """Apply one operation to 8-bit levels."""
        which, strength, coin = uniform((len(x), 3), rng=rng, device=x.device).unbind(1)
        which = (which * (len(operations.ALL) + 1)).long()
        share = (strength * BINS).floor() / (BINS - 1)
        values = wide_values(which, share, torch.where(coin < 0.5, -1.0, 1.0))
        return operations.apply(to_levels(x), which, values).to(x.dtype).div_(255)

    @classmethod
    def examples(cls) -> list[Perturbation]:
        """The only one."""
        return [cls()]


def wide_values(which: Whole, share: PerRow, sign: PerRow) -> PerRow:
    """Return the parameters of operations at these shares (0 to 1) of their ranges."""
    signed = share * sign
    values = {
        "posterize": 8 - (share * 6).round(),
        "solarize": 255 * (1 - share),
        "rotate": signed * 135,
        "shear_x": signed * 0.99,
        "shear_y": signed * 0.99,
        "translate_x": (signed * 32).trunc(),
        "translate_y": (signed * 32).trunc(),
    }
    return operations.choose(values, which, otherwise=1 + signed * 0.99)
