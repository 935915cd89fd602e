"""Rotation of MNIST-C."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch

from withstand.functional.precision import in_double
from withstand.functional.random import Rng
from withstand.functional.tensors import Device, Images, PerRow
from withstand.perturbations.corruptions.mnist_c.mnist_corruption import MnistCorruption, moved, signs


@dataclass(frozen=True, kw_only=True)
class MnistRotate(MnistCorruption):
    """Rotate by 0.4 radians about the centre, clockwise or counterclockwise.

    Source:
        mnist-c, `rotate`; the angle is `tables`. See MnistCorruption.
    """

    tables: ClassVar = {28: (0.4,)}

    def sample(self, shape: Sequence[int], *, rng: Rng, device: Device | None = None) -> PerRow:
        """Return the direction, -1 or 1; 1 is counterclockwise."""
        return signs(shape[:1], rng=rng, device=device)

    def corrupt(self, x: Images, parameters: PerRow) -> Images:
        """Turn."""
        angle = in_double(parameters) * self.published(*x.shape[-2:])
        cos, sin = angle.cos(), angle.sin()
        return moved(x, torch.stack([torch.stack([cos, -sin], -1), torch.stack([sin, cos], -1)], 1))
