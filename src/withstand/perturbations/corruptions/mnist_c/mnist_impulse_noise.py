"""Impulse noise of MNIST-C."""

from dataclasses import dataclass
from typing import ClassVar

from withstand.perturbations.base import Corruption
from withstand.perturbations.corruptions.imagenet_c.impulse_noise import ImpulseNoise
from withstand.perturbations.corruptions.mnist_c.mnist_corruption import MnistAsImagenetC


@dataclass(frozen=True, kw_only=True)
class MnistImpulseNoise(MnistAsImagenetC):
    """Replace each value with probability 0.17 by 0 or 1, equally likely, as in ImageNet-C.

    Source:
        mnist-c, `impulse_noise`. See MnistCorruption.
    """

    tables: ClassVar = {28: (0.17,)}

    @property
    def original(self) -> Corruption:
        """The corruption of ImageNet-C."""
        return ImpulseNoise(severity=4, pixels=224)
