"""Shot noise of ImageNet-C."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch

from withstand.functional.kernels.poisson import poisson_counts
from withstand.functional.pieces import pieces
from withstand.functional.random import Rng, uniform
from withstand.functional.tensors import Device, Images
from withstand.perturbations.base import Corruption

_CHUNK = 2**18  # values that are worked on at once on the CPU: more do not stay in its cache


@dataclass(frozen=True, kw_only=True)
class ShotNoise(Corruption):
    """Poisson noise, independent per value: clip(k / c), k ~ Poisson(c x).

    Source:
        hendrycks/robustness, ImageNet-C/create_c, `shot_noise`; c is `tables`, the mean count of white.
        Differs: a count is the inverse of the distribution function at a uniform number, so that the random part does
        not depend on the image. The numbers are multiples of 2^-24, with 2^-25 in place of 0 (at which the count would
        be 0 even where the rate is 500). Counts in tails whose total probability is below 2^-25 = 3e-8 therefore never
        occur; these lie beyond about 5.4 standard deviations.
    """

    tables: ClassVar = {
        224: (60, 25, 12, 5, 3),
        299: (50, 20, 10, 5, 3),
        64: (250, 100, 50, 30, 15),
        32: (500, 250, 100, 75, 50),
    }

    def sample(self, shape: Sequence[int], *, rng: Rng, device: Device | None = None) -> Images:
        """Return uniform numbers, at least 2^-25 and at most 1 - 2^-24."""
        return uniform(shape, rng=rng, device=device).clamp_(min=2.0**-25)

    def corrupt(self, x: Images, parameters: Images) -> Images:
        """Replace each value by the Poisson count of its uniform number."""
        scale = self.published(*x.shape[-2:])
        noisy = torch.empty_like(x)
        for part, numbers, out in pieces(_CHUNK // x.shape[1:].numel(), x, parameters, noisy):
            torch.div(poisson_counts(part, numbers, scale=scale), scale, out=out).clamp_(max=1)
        return noisy
