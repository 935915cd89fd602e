"""Gaussian noise."""

from dataclasses import dataclass

from torch import Tensor

from withstand.functional.tensors import Points
from withstand.perturbations.additive_noise import AdditiveNoise, Values
from withstand.perturbations.base import Perturbation


@dataclass(frozen=True, kw_only=True)
class Gaussian(AdditiveNoise):
    """Additive Gaussian noise, independent per value: clip(x + n), n ~ N(0, std^2).

    Source:
        Rusak et al. 2020, arXiv 2001.06057, section 3: 0.5 for one, (.08, .12, .18, .26, .38) for several.
    """

    def added(self, x: Points, numbers: Values, std: Tensor) -> Values:
        """Scale the numbers."""
        return std * numbers

    @classmethod
    def examples(cls) -> list[Perturbation]:
        """One and several standard deviations."""
        return [cls(std=0.5), cls(std=(0.08, 0.12, 0.18, 0.26, 0.38))]
