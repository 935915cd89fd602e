"""RandAugment."""

from dataclasses import dataclass
from typing import Annotated, ClassVar

import torch
from annotated_types import Ge, Le

from withstand.functional.augmentation import operations
from withstand.functional.augmentation.pillow import Whole
from withstand.functional.levels import to_levels
from withstand.functional.random import Rng, uniform
from withstand.functional.tensors import Images, PerRow
from withstand.limits import PositiveInt, Within
from withstand.perturbations.augmentations.augmentation import Augmentation
from withstand.perturbations.base import Perturbation

_STRONGEST = 30


@dataclass(frozen=True, kw_only=True)
class RandAugment(Augmentation):
    """Applies random operations of the same strength, one after the other.

    Each is one of 14: the identity, those of `AugMix`, color, contrast, brightness and sharpness.

    Attributes:
        num_operations: Number of operations per image.
        magnitude: Strength from 0 to 30; at 30: shear 0.3, translate 0.45 of the side, rotate 30 degrees, factor 1.9 or
            0.1, posterize to 4 bits, solarize all. The paper uses 9 with 2 operations for ImageNet.

    Source:
        Cubuk, Zoph, Shlens, Le: "RandAugment: Practical Automated Data Augmentation with a Reduced Search Space",
        NeurIPS 2020, arXiv 1909.13719; ranges as in torchvision.transforms.v2.RandAugment.
        Differs: moved images are interpolated linearly.
    """

    operations: ClassVar = frozenset({"tone", "geometry", "filter"})

    num_operations: PositiveInt = 2
    magnitude: Annotated[int, Within(Ge(0), Le(_STRONGEST))] = 9

    def augment(self, x: Images, *, rng: Rng) -> Images:
        """Apply the operations to 8-bit levels."""
        numbers = uniform((len(x), self.num_operations, 2), rng=rng, device=x.device)
        levels = to_levels(x)
        for which, coin in (each.unbind(1) for each in numbers.unbind(1)):
            which = (which * (len(operations.ALL) + 1)).long()
            signed = torch.where(coin < 0.5, -1.0, 1.0) * (self.magnitude / _STRONGEST)
            levels = operations.apply(levels, which, values_at(which, signed, *x.shape[2:]))
        return levels.to(x.dtype).div_(255)

    @classmethod
    def examples(cls) -> list[Perturbation]:
        """The published one for ImageNet, and a strong one."""
        return [cls(), cls(num_operations=3, magnitude=20)]


def values_at(which: Whole, signed: PerRow, height: int, width: int) -> PerRow:
    """Return the parameters of operations at these shares (-1 to 1) of their ranges."""
    values = {
        "posterize": 8 - (signed.abs() * 4).round(),
        "solarize": 255 * (1 - signed.abs()),
        "rotate": signed * 30,
        "shear_x": signed * 0.3,
        "shear_y": signed * 0.3,
        "translate_x": (signed * (150 / 331 * width)).trunc(),
        "translate_y": (signed * (150 / 331 * height)).trunc(),
    }
    return operations.choose(values, which, otherwise=1 + signed * 0.9)
