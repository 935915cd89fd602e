"""AugMix."""

from dataclasses import dataclass
from typing import Annotated

import torch
from annotated_types import Ge, Le
from jaxtyping import Bool, Float
from torch import Tensor

from withstand.functional.augmentation import operations
from withstand.functional.augmentation.hashed import Seeds, uniforms
from withstand.functional.levels import to_levels
from withstand.functional.random import Rng
from withstand.functional.tensors import Images, Levels
from withstand.limits import PositiveFloat, PositiveInt, Within
from withstand.perturbations.augmentations.augmentation import Augmentation
from withstand.perturbations.augmentations.chains import mixed_with_chains
from withstand.perturbations.base import Perturbation

# Levels of operations, whose parameters are those of Pillow at level / 10 of their ranges.
OperationLevel = Annotated[float, Within(Ge(0.1), Le(10))]
_LEAST = 0.1


@dataclass(frozen=True, kw_only=True)
class AugMix(Augmentation):
    r"""Mixes an image with chains of random operations.

    .. math:: (1 - m) x + m \sum_k w_k \, c_k(x), \quad w \sim Dirichlet(\alpha), \quad m \sim Beta(\alpha, \alpha)

    Each chain applies random operations one after the other: autocontrast, equalize, posterize, solarize, rotate, shear
    and translate along both axes. Tone operations equal Pillow's; geometric ones do up to one 8-bit level.

    Attributes:
        severity: Highest level of an operation, from 0.1 to 10; each level is uniform from 0.1. The paper uses 3 for
            CIFAR and 1 for ImageNet. At level 10, rotations reach 30 degrees and translations a third of the image.
        width: Number of chains.
        depth: Operations per chain; None draws 1, 2 or 3 for each.
        alpha: Concentration of both mixing weights, above 0; 1 is uniform.
        all_ops: Also color, contrast, brightness and sharpness, which are corruptions of ImageNet-C.

    Source:
        Hendrycks, Mu, Cubuk et al.: "AugMix: A Simple Data Processing Method to Improve Robustness and Uncertainty",
        ICLR 2020, arXiv 1912.02781, algorithm 1; google-research/augmix, augment_and_mix.py.
        Differs: images need not be square; chains start from the image floored to 8 bits.
    """

    severity: OperationLevel = 3.0
    width: PositiveInt = 3
    depth: PositiveInt | None = None
    alpha: PositiveFloat = 1.0
    all_ops: bool = False

    @property
    def operations(self) -> frozenset[str]:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Tone and geometry; sharpness is a filter."""
        return frozenset({"tone", "geometry", "filter"} if self.all_ops else {"tone", "geometry"})

    def augment(self, x: Images, *, rng: Rng) -> Images:
        """Mix the images with chains of operations on 8-bit levels."""
        own = {"width": self.width, "depth": self.depth, "alpha": self.alpha, "unit": 1 / 255, "rng": rng}
        return mixed_with_chains(x, to_levels, self._operate, **own)

    def _operate(self, levels: Levels, seeds: Seeds) -> Levels:
        numbers = uniforms(seeds, 3)
        return random_operation(levels, numbers, severity=self.severity, all_ops=self.all_ops, left_out=seeds < 0)

    @classmethod
    def examples(cls) -> list[Perturbation]:
        """The published one for CIFAR, and one with other fields."""
        return [cls(), cls(severity=5, width=2, depth=2, alpha=0.5, all_ops=True)]


def random_operation(
    levels: Levels,
    numbers: Float[Tensor, "batch 3"],
    *,
    severity: float,
    all_ops: bool = False,
    left_out: Bool[Tensor, " batch"] | None = None,
) -> Levels:
    """Return every image after one random operation of AugMix.

    Args:
        levels: The images.
        numbers: Uniform in [0, 1): which operation, its level, and its direction.
        severity: Highest level.
        all_ops: Whether to include operations that are corruptions of ImageNet-C.
        left_out: The images that stay unchanged.
    """
    known = operations.ALL if all_ops else operations.NINE
    which = (numbers[:, 0] * len(known)).long()
    if left_out is not None:
        which = which.masked_fill(left_out, len(operations.ALL))
    level = _LEAST + (severity - _LEAST) * numbers[:, 1]
    sign = torch.where(numbers[:, 2] < 0.5, -1.0, 1.0)
    return operations.apply(levels, which, operations.augmix_values(which, level, sign, *levels.shape[2:]))
