"""Dotted line of MNIST-C."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Int
from torch import Tensor

from withstand.functional.kernels.procedural.strokes import stroke
from withstand.functional.precision import in_double
from withstand.functional.random import Rng, integers
from withstand.functional.tensors import Device, Images
from withstand.perturbations.corruptions.mnist_c.mnist_corruption import MnistCorruption


@dataclass(frozen=True, kw_only=True)
class MnistDottedLine(MnistCorruption):
    """Add a bright line from the left border to the right one, in dashes of 2 pixels, 2 apart.

    Source:
        mnist-c, `dotted_line`; the length of a dash is `tables`, in pixels. See MnistCorruption.
    """

    tables: ClassVar = {28: (2,)}

    def sample(self, shape: Sequence[int], *, rng: Rng, device: Device | None = None) -> Int[Tensor, "batch 2"]:
        """Return the rows of the two ends, any but the last."""
        return integers((shape[0], 2), 0, max(shape[-2] - 1, 1), rng=rng, device=device)

    def corrupt(self, x: Images, parameters: Int[Tensor, "batch 2"]) -> Images:
        """Add the line."""
        height, width = x.shape[-2:]
        rows = in_double(parameters.float())
        ends = torch.stack([rows, rows.new_tensor([0, width - 1]).expand_as(rows)], 1)
        light = stroke(ends[..., 0], ends[..., 1], height, width)
        dash = torch.arange(width, device=light.device) // self.published(height, width)
        return (x + (light * (dash % 2))[:, None].to(x)).clamp_(max=1)
