"""PRIME."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, ClassVar

import torch
from annotated_types import Ge
from jaxtyping import Float
from torch import Tensor

from withstand.functional.augmentation.hashed import Seeds, normals, uniforms
from withstand.functional.augmentation.smooth import (
    displaced,
    filtered,
    mode_stds,
    modes,
    recoloured,
    smooth_field,
)
from withstand.functional.random import Rng
from withstand.functional.tensors import Images, PerRow
from withstand.limits import NonNegativeFloat, PositiveInt, Within
from withstand.perturbations.augmentations.augmentation import Augmentation
from withstand.perturbations.augmentations.chains import mixed_with_chains
from withstand.perturbations.base import Perturbation

_LEAST_CUT = 2


@dataclass(frozen=True, kw_only=True)
class PRIME(Augmentation):
    r"""Mixes an image with chains of random filters, smooth colour curves and smooth displacements.

    Chains are mixed as in `AugMix`. Each operation draws one of the three, with new random numbers for every image:

    - filter: a 3 x 3 kernel, the identity plus normal numbers of one standard deviation, the same for all channels;
    - color: :math:`x + \sum_k c_k \sin(\pi k x)` per channel, :math:`c_k \sim N(0, T)`, T uniform up to a maximum;
    - displacement: random fields :math:`\sum_{ij} n_{ij} \sin(\pi i x) \sin(\pi j y) / \sqrt{i^2 + j^2}`.

    The result of every operation is clipped to [0, 1]. The defaults are the published values for CIFAR-10. For
    ImageNet, these are `color_variance` 0.05, `color_frequencies` 500, `color_band` 20, `displacement_frequencies` 500.

    Attributes:
        width: Number of chains.
        depth: Operations per chain; None draws 1, 2 or 3 for each.
        filter_std: Highest standard deviation of a kernel's entries; that of an image is uniform from 0.
        color_variance: Maximum of T.
        color_frequencies: Highest k of a color curve; the highest of an image is uniform from 1.
        color_band: A curve has only this many successive k, from a uniform one on; None takes all from 1 on.
        displacement_frequencies: Limit of sqrt(i^2 + j^2), at least 3; that of an image is between 2 and a uniform
            number from 3 to this. The size of displacements lies between about half a pixel and the largest that does
            not fold the image.

    Source:
        Modas et al.: "PRIME: A Few Primitives Can Boost Robustness to Common
        Corruptions", ECCV 2022, arXiv 2112.13547; amodas/PRIME-augmentations, config/cifar10_cfg.py.
        Differs: the reference's identity kernel shifts the image by a pixel; it draws one displacement and one standard
        deviation per batch; images need not be square (displacements are then in units of the mean side).
    """

    operations: ClassVar = frozenset({"filter", "tone", "warp"})

    width: PositiveInt = 3
    depth: PositiveInt | None = None
    filter_std: NonNegativeFloat = 4.0
    color_variance: NonNegativeFloat = 0.01
    color_frequencies: PositiveInt = 100
    color_band: PositiveInt | None = None
    displacement_frequencies: Annotated[int, Within(Ge(3))] = 100

    def augment(self, x: Images, *, rng: Rng) -> Images:
        """Mix the images with chains of the three operations."""
        own = {"width": self.width, "depth": self.depth, "alpha": 1.0, "unit": 1.0, "rng": rng}
        return mixed_with_chains(x, torch.clone, self._operate, **own)

    def _operate(self, x: Images, seeds: Seeds) -> Images:
        which = (uniforms(seeds, 1)[:, 0] * 3).long().masked_fill_(seeds < 0, 3)
        operations: tuple[Callable[[Images, Seeds], Images], ...] = (self._filter, self._color, self._displace)
        for number, operation in enumerate(operations):
            rows = (which == number).nonzero()[:, 0]
            if len(rows):
                # The last bits choose the operation's numbers, others than those that choose the operation.
                changed = operation(x.index_select(0, rows), seeds[rows] ^ (number + 1))
                x[rows] = changed.clamp_(0, 1)
        return x

    def _filter(self, x: Images, seeds: Seeds) -> Images:
        kernels = self.filter_std * uniforms(seeds ^ 4, 1) * normals(seeds, 9)
        kernels[:, 4] += 1
        return filtered(x, kernels.view(-1, 3, 3))

    def _color(self, x: Images, seeds: Seeds) -> Images:
        most = min(self.color_frequencies, self.color_band or self.color_frequencies)
        scale, highest, start = uniforms(seeds ^ 4, 3).unbind(1)
        highest = (highest * self.color_frequencies).long() + 1
        first = torch.ones_like(highest) if self.color_band is None else (start * highest).long() + 1
        std = (self.color_variance * scale).sqrt()[:, None, None]
        coefficients = std * normals(seeds, x.shape[1] * most).view(-1, x.shape[1], most)
        return recoloured(x, coefficients, first, (highest - first + 1).clamp(max=most))

    def _displace(self, x: Images, seeds: Seeds) -> Images:
        return displaced(x, self._field(seeds, *x.shape[2:]))

    def _field(self, seeds: Seeds, height: int, width: int) -> Float[Tensor, "batch 2 height width"]:
        """Return displacements in pixels."""
        cut, temperature = self._cut_and_temperature(uniforms(seeds ^ 4, 3), height * width)
        most = self.displacement_frequencies
        stds = torch.stack([mode_stds(height, width, most, each) for each in cut.tolist()]).to(seeds.device)
        rows, columns = modes(height, width, most)
        numbers = normals(seeds, 2 * rows * columns).view(len(seeds), 2, rows, columns)
        scale = (height * width * temperature).sqrt()
        fields = smooth_field((numbers * (stds * scale[:, None, None])[:, None]).flatten(0, 1), height, width)
        return fields.view(-1, 2, height, width)

    def _cut_and_temperature(self, numbers: Float[Tensor, "batch 3"], pixels: int) -> tuple[Tensor, PerRow]:
        limit = (numbers[:, 0] * (self.displacement_frequencies - _LEAST_CUT)).long() + _LEAST_CUT + 1
        # Beta(1/2, 1/2), the arcsine distribution.
        fraction, share = (numbers[:, 1:] * (math.pi / 2)).sin().square().unbind(1)
        cut = (fraction * (limit + 1 - _LEAST_CUT)).long().clamp(max=limit - _LEAST_CUT) + _LEAST_CUT
        log = cut.float().log()
        lowest = 1 / (math.pi * pixels * log)
        highest = torch.maximum(lowest, 4 / (math.pi**3 * cut**2 * log))
        return cut, lowest + share * (highest - lowest)

    @classmethod
    def examples(cls) -> list[Perturbation]:
        """The published one for CIFAR-10, and a short one with a band of colours."""
        return [cls(), cls(width=2, depth=1, color_band=20, color_frequencies=500, displacement_frequencies=10)]
