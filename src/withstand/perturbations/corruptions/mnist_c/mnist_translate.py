"""Translation of MNIST-C."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from withstand.functional.random import Rng
from withstand.functional.tensors import Device, Images
from withstand.perturbations.corruptions.mnist_c.mnist_corruption import MnistCorruption, moved, signs


@dataclass(frozen=True, kw_only=True)
class MnistTranslate(MnistCorruption):
    """Move by 3 pixels to the left or right, and 3 up or down; uncovered pixels are black.

    Source:
        mnist-c, `translate`; the distance is `tables`, in pixels. See MnistCorruption.
    """

    tables: ClassVar = {28: (3,)}

    def sample(self, shape: Sequence[int], *, rng: Rng, device: Device | None = None) -> Float[Tensor, "batch 2"]:
        """Return the directions along columns and rows, -1 or 1; 1 is to the left or up."""
        return signs((shape[0], 2), rng=rng, device=device)

    def corrupt(self, x: Images, parameters: Float[Tensor, "batch 2"]) -> Images:
        """Move."""
        shift = parameters * self.published(*x.shape[-2:])
        return moved(x, torch.eye(2, device=x.device).expand(len(x), -1, -1), shift)
