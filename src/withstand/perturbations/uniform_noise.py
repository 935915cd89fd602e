"""Uniform noise."""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from withstand.functional.random import Rng, uniform
from withstand.functional.tensors import Device, Points
from withstand.perturbations.additive_noise import AdditiveNoise, Values
from withstand.perturbations.base import Perturbation


@dataclass(frozen=True, kw_only=True)
class UniformNoise(AdditiveNoise):
    """Additive uniform noise with a given standard deviation, comparable to `Gaussian`.

    clip(x + n), n uniform on [-sqrt(3) std, sqrt(3) std], independent per value.

    Source:
        Rusak et al. 2020, arXiv 2001.06057, section 4 (uniform noise as one of the directions of noise).
    """

    def numbers(self, shape: Sequence[int], *, rng: Rng, device: Device) -> Tensor:
        """Return numbers uniform in [0, 1)."""
        return uniform(shape, rng=rng, device=device)

    def added(self, x: Points, numbers: Values, std: Tensor) -> Values:
        """Centre and scale the numbers."""
        return std * (numbers - 0.5) * 12**0.5

    @classmethod
    def examples(cls) -> list[Perturbation]:
        """One and several standard deviations."""
        return [cls(std=0.5), cls(std=(0.1, 0.2))]
