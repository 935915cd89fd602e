"""Scaling of MNIST-C."""

from dataclasses import dataclass
from typing import ClassVar

import torch

from withstand.functional.tensors import Images
from withstand.perturbations.corruptions.mnist_c.mnist_corruption import MnistCorruption, moved


@dataclass(frozen=True, kw_only=True)
class MnistScale(MnistCorruption):
    """Shrink to 0.7 of the size about the centre, black around it; nothing is random.

    Source:
        mnist-c, `scale`; the size is `tables`. See MnistCorruption.
    """

    tables: ClassVar = {28: (0.7,)}

    def corrupt(self, x: Images, parameters: None) -> Images:
        """Shrink."""
        inverse = torch.eye(2, dtype=torch.float64) * (1 / self.published(*x.shape[-2:]))
        return moved(x, inverse.repeat(len(x), 1, 1))
