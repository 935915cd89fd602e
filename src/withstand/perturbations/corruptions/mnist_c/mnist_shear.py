"""Shear of MNIST-C."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import cos, sin
from typing import ClassVar

import torch

from withstand.functional.precision import in_double
from withstand.functional.random import Rng
from withstand.functional.tensors import Device, Images, PerRow
from withstand.perturbations.corruptions.mnist_c.mnist_corruption import MnistCorruption, moved, signs


@dataclass(frozen=True, kw_only=True)
class MnistShear(MnistCorruption):
    """Shear by 0.4 radians to the left or to the right about the centre.

    For each row below the centre, pixels are read s sin 0.4 columns to the left, and cos 0.4 rows below it.

    Source:
        mnist-c, `shear`, with the map of scikit-image's `AffineTransform` of 2019; the angle is `tables`. See
        MnistCorruption.
    """

    tables: ClassVar = {28: (0.4,)}

    def sample(self, shape: Sequence[int], *, rng: Rng, device: Device | None = None) -> PerRow:
        """Return the direction s, -1 or 1."""
        return signs(shape[:1], rng=rng, device=device)

    def corrupt(self, x: Images, parameters: PerRow) -> Images:
        """Slant."""
        angle = self.published(*x.shape[-2:])
        side = in_double(parameters)
        inverse = torch.eye(2).to(side).repeat(len(x), 1, 1)
        inverse[:, 0, 1], inverse[:, 1, 1] = -sin(angle) * side, cos(angle)
        return moved(x, inverse)
