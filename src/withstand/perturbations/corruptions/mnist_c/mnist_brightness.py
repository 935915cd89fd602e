"""Brightness of MNIST-C."""

from dataclasses import dataclass
from typing import ClassVar

from withstand.perturbations.base import Corruption
from withstand.perturbations.corruptions.imagenet_c.brightness import Brightness
from withstand.perturbations.corruptions.mnist_c.mnist_corruption import MnistAsImagenetC


@dataclass(frozen=True, kw_only=True)
class MnistBrightness(MnistAsImagenetC):
    """Add 0.5 to the value V of the HSV colour model, clipped to 1, as in ImageNet-C.

    Source:
        mnist-c, `brightness`. See MnistCorruption.
    """

    tables: ClassVar = {28: (0.5,)}

    @property
    def original(self) -> Corruption:
        """The corruption of ImageNet-C."""
        return Brightness(severity=5, pixels=224)
