"""Gaussian noise in a square patch."""

from dataclasses import dataclass
from typing import ClassVar

import torch

from withstand.functional.random import Rng, normal, uniform
from withstand.functional.tensors import Images
from withstand.limits import NonNegativeFloat, PositiveInt
from withstand.perturbations.augmentations.augmentation import Augmentation
from withstand.perturbations.base import Perturbation


@dataclass(frozen=True, kw_only=True)
class PatchGaussian(Augmentation):
    """Adds Gaussian noise in one square of an image; the square's centre is uniform, and borders cut it.

    Attributes:
        width: Side of the square, in pixels. The paper uses 25 for CIFAR, and up to 250 for ImageNet.
        is_random: Whether the side is drawn for each image, uniform from 1 to `width`.
        std: Highest standard deviation, in units of [0, 1]; that of an image is uniform from 0.

    Source:
        Lopes, Yin, Poole, Gilmer, Cubuk: "Improving Robustness Without Sacrificing Accuracy with Patch Gaussian
        Augmentation", arXiv 1906.02611; `std` from facebookresearch/augmentation-corruption.
    """

    operations: ClassVar = frozenset({"noise"})

    width: PositiveInt = 25
    is_random: bool = False
    std: NonNegativeFloat = 1.0

    def augment(self, x: Images, *, rng: Rng) -> Images:
        """Add noise where the patch is."""
        row, column, side, scale = uniform((len(x), 4), rng=rng, device=x.device).T[..., None]
        side = (side * self.width).floor() + 1 if self.is_random else torch.full_like(side, self.width)
        inside = torch.ones((), dtype=torch.bool, device=x.device)
        for axis, place in ((2, row), (3, column)):
            start = (place * x.shape[axis]).floor() - (side / 2).floor()
            pixels = torch.arange(x.shape[axis], device=x.device)
            within = (pixels >= start) & (pixels < start + side)
            inside = inside & (within[:, None, :, None] if axis == 2 else within[:, None, None, :])
        noise = normal(x.shape, rng=rng, device=x.device) * (scale * self.std)[..., None, None]
        return x + noise * inside

    @classmethod
    def examples(cls) -> list[Perturbation]:
        """The published one for CIFAR, and one with small random patches."""
        return [cls(), cls(width=10, is_random=True, std=0.5)]
