"""Shot noise of MNIST-C."""

from dataclasses import dataclass
from typing import ClassVar

from withstand.perturbations.base import Corruption
from withstand.perturbations.corruptions.imagenet_c.shot_noise import ShotNoise
from withstand.perturbations.corruptions.mnist_c.mnist_corruption import MnistAsImagenetC


@dataclass(frozen=True, kw_only=True)
class MnistShotNoise(MnistAsImagenetC):
    """Poisson noise as in ImageNet-C, of 3 counts at white: clip(k / 3), k ~ Poisson(3 x).

    Source:
        mnist-c, `shot_noise`. See MnistCorruption.
    """

    tables: ClassVar = {28: (3,)}

    @property
    def original(self) -> Corruption:
        """The corruption of ImageNet-C."""
        return ShotNoise(severity=5, pixels=224)
