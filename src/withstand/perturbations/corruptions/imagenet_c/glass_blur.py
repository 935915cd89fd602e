"""Glass blur of ImageNet-C."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Int
from torch import Tensor

from withstand.functional.kernels.gaussian import blur
from withstand.functional.kernels.glass import copy_in_order
from withstand.functional.pieces import pieces
from withstand.functional.random import Rng, uniform
from withstand.functional.tensors import Device, Images
from withstand.perturbations.base import Corruption

# Pixels that are worked on at once on the CPU: more do not fit its cache.
_CHUNK = 2**18


@dataclass(frozen=True, kw_only=True)
class GlassBlur(Corruption):
    """Replace pixels by random neighbours, between two Gaussian blurs.

    Source:
        hendrycks/robustness, ImageNet-C/create_c, `glass_blur`, with scikit-image's `gaussian`; `tables` holds the
        standard deviation of the blurs, the largest distance of a pixel from its copy along an axis, both in pixels,
        and how many times all pixels are overwritten. As in that code, pixels are overwritten (the paper exchanges
        them), the largest distance downwards and to the right is one pixel less, and the image is floored to 8 bits
        after the first blur. Between severities, the distance and the number of times are rounded to whole numbers;
        where these change, all neighbours are drawn anew.
    """

    whole: ClassVar = (1, 2)
    tables: ClassVar = {
        224: ((0.7, 1, 2), (0.9, 2, 1), (1, 2, 3), (1.1, 3, 2), (1.5, 4, 2)),
        299: ((0.8, 1, 3), (1, 3, 1), (1.1, 2, 4), (1.2, 4, 2), (1.6, 5, 2)),
        64: ((0.1, 1, 1), (0.5, 1, 1), (0.6, 1, 2), (0.7, 2, 1), (0.9, 2, 2)),
        32: ((0.05, 1, 1), (0.25, 1, 1), (0.4, 1, 1), (0.25, 1, 2), (0.4, 1, 2)),
    }

    def sample(
        self, shape: Sequence[int], *, rng: Rng, device: Device | None = None
    ) -> Int[Tensor, "batch iteration rows columns"]:
        """Return, per iteration and inner pixel, the index of the neighbour that replaces it."""
        height, width = shape[-2:]
        _, reach, iterations = self.published(height, width)
        inner = (max(height - 2 * reach, 0), max(width - 2 * reach, 0))
        # Half the time of drawing whole numbers, and every one still has its probability to 2^-24.
        numbers = uniform((shape[0], iterations, *inner), rng=rng, device=device)
        return numbers.mul_((2 * reach) ** 2).int()

    def corrupt(self, x: Images, parameters: Int[Tensor, "batch iteration rows columns"]) -> Images:
        """Blur, replace pixels, blur again."""
        std, reach, _ = self.published(*x.shape[-2:])
        blurred = torch.empty_like(x)
        for part, choices, out in pieces(_CHUNK // x.shape[-2:].numel(), x, parameters, blurred):
            levels = blur(part, std).mul_(255).add_(1e-3).floor_().div_(255)
            out.copy_(blur(copy_in_order(levels, choices, reach=reach), std))
        return blurred
