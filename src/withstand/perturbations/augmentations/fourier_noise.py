"""Additive Fourier-basis noise."""

import math
from dataclasses import dataclass
from typing import ClassVar

import torch

from withstand.functional.augmentation.frequencies import plane_waves
from withstand.functional.random import Rng, uniform
from withstand.functional.tensors import Images
from withstand.limits import NonNegativeFloat
from withstand.perturbations.augmentations.augmentation import Augmentation
from withstand.perturbations.base import Perturbation

_ANGLES = 448


@dataclass(frozen=True, kw_only=True)
class FourierNoise(Augmentation):
    r"""Adds a random plane wave to every channel of an image: the perturbation of AFA.

    .. math:: clip(x + \lambda \, w), \quad \lambda \sim Exp, \quad \|w\|_2 = size / 32

    w is a wave with a whole number of periods per side, uniform from 1 to the size, in one of 448 directions of a half
    circle; it and its strength are drawn per image and channel. AFA trains on clean and changed images, each with batch
    statistics of its own.

    Attributes:
        strength: Mean of the exponential strength, at least 0.

    Source:
        Vaish, Wang, Strisciuglio: "Fourier-basis Functions to Bridge Augmentation Gap: Rethinking Frequency
        Augmentation in Image Classification", CVPR 2024, arXiv 2403.01944; nis-research/afa-augment.
        Differs: images need not be square; the size is then the geometric mean of the sides, rounded.
    """

    operations: ClassVar = frozenset({"waves"})

    strength: NonNegativeFloat = 10.0

    def augment(self, x: Images, *, rng: Rng) -> Images:
        """Add the waves."""
        batch, channels, height, width = x.shape
        size = max(1, round(math.sqrt(height * width)))
        periods, direction, scale = uniform((batch, channels, 3), rng=rng, device=x.device).unbind(2)
        frequency = ((periods * size).floor() + 1) / size
        angle = (direction * _ANGLES).floor() * (-math.pi / (_ANGLES - 1))
        strength = torch.log1p(-scale) * (-self.strength * size / 32)
        return x + plane_waves(frequency, angle, height, width) * strength[..., None, None]

    @classmethod
    def examples(cls) -> list[Perturbation]:
        """The published strength."""
        return [cls()]
