"""Motion blur of MNIST-C."""

from dataclasses import dataclass
from typing import ClassVar

from withstand.perturbations.base import Corruption
from withstand.perturbations.corruptions.imagenet_c.motion_blur import MotionBlur
from withstand.perturbations.corruptions.mnist_c.mnist_corruption import MnistAsImagenetC


@dataclass(frozen=True, kw_only=True)
class MnistMotionBlur(MnistAsImagenetC):
    """Blur along a line of random direction, at most 45 degrees from the horizontal, as in ImageNet-C.

    Source:
        mnist-c, `motion_blur`. See MnistCorruption.
    """

    tables: ClassVar = {28: ((10, 3),)}

    @property
    def original(self) -> Corruption:
        """The corruption of ImageNet-C."""
        return MotionBlur(severity=1, pixels=224)
