"""Zigzag of MNIST-C."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import hypot
from typing import ClassVar

import torch
from jaxtyping import Float, Int
from torch import Tensor

from withstand.functional.kernels.procedural.strokes import stroke
from withstand.functional.precision import in_double
from withstand.functional.random import Rng, integers
from withstand.functional.tensors import Device, Images
from withstand.perturbations.corruptions.mnist_c.mnist_corruption import MnistCorruption

_FREE = 2  # columns on the left and on the right of the zigzag
_RISE = 5  # most rows from one end to the other


@dataclass(frozen=True, kw_only=True)
class MnistZigzag(MnistCorruption):
    """Add a bright zigzag line of length 2 and width 2 from the left to the right.

    Source:
        mnist-c, `zigzag`; length and width of a turn are `tables`, in pixels. See MnistCorruption.
        Differs: the last point, for which the original divides by a length, does not go beyond the width.
    """

    tables: ClassVar = {28: ((2, 2),)}

    def sample(self, shape: Sequence[int], *, rng: Rng, device: Device | None = None) -> Int[Tensor, "batch 2"]:
        """Return the row of the left end, any but the last, and how far below it the right one is, from -5 to 4."""
        row = integers((shape[0], 1), 0, max(shape[-2] - 1, 1), rng=rng, device=device)
        return torch.cat([row, integers((shape[0], 1), -_RISE, _RISE, rng=rng, device=device)], 1)

    def corrupt(self, x: Images, parameters: Int[Tensor, "batch 2"]) -> Images:
        """Add the line."""
        height, width = x.shape[-2:]
        row, rise = in_double(parameters.float()).unbind(1)
        across = max(width - 1 - 2 * _FREE, 1)
        angle = (rise / across).atan()
        left_end = torch.stack([row, torch.full_like(row, _FREE)], 1)
        light = in_double(x)
        for start, stop in pairwise(self._points(across / angle.cos(), hypot(across, _RISE), height, width)):
            first, last = (_turned(end, angle) + left_end for end in (start, stop))
            light = (light + stroke(first, last, height, width)[:, None]).clamp_(max=1)
        return light.to(x)

    def _points(
        self, length: Float[Tensor, " batch"], longest: float, height: int, width: int
    ) -> list[Float[Tensor, "batch 2"]]:
        """Return row and column of every corner of level lines; those beyond a line's length are its last point."""
        half, most = self.published(height, width)
        turns = ((length - half) / (2 * half)).floor() + 1
        rest = length - (length / (2 * half)).floor() * 2 * half
        down = (most * (1 - 2 * ((turns - 1) % 2)) / (2 * rest)).clamp(-most, most)
        last = torch.stack([down, length], 1)
        points = [torch.zeros_like(last)]
        for turn in range(int((longest - half) // (2 * half)) + 1):
            corner = last.new_tensor([(-1) ** turn * most, (2 * turn + 1) * half])
            points.append(corner.where((turn < turns)[:, None], last))
        return [*points, last]


def _turned(place: Float[Tensor, "batch 2"], angle: Float[Tensor, " batch"]) -> Float[Tensor, "batch 2"]:
    (row, column), cos, sin = place.unbind(1), angle.cos(), angle.sin()
    return torch.stack([sin * column + cos * row, cos * column - sin * row], 1)
