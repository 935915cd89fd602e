"""Speckle noise."""

from dataclasses import dataclass
from typing import Annotated

from torch import Tensor

from withstand.functional.tensors import Points
from withstand.limits import NonEmpty, NonNegativeFloat
from withstand.perturbations.additive_noise import AdditiveNoise, Values
from withstand.perturbations.base import Perturbation


@dataclass(frozen=True, kw_only=True)
class Speckle(AdditiveNoise):
    """Multiplicative Gaussian noise: clip(x + x n), n ~ N(0, std^2), independent per value.

    Attributes:
        std: Standard deviation of n. If there are several, one is drawn for each sample.

    Source:
        Rusak et al. 2020, arXiv 2001.06057, section 3, with the five values that are the default here.
    """

    std: NonNegativeFloat | Annotated[tuple[NonNegativeFloat, ...], NonEmpty] = (0.15, 0.2, 0.35, 0.45, 0.6)

    def added(self, x: Points, numbers: Values, std: Tensor) -> Values:
        """Scale the numbers by the input."""
        return x * (std * numbers)

    @classmethod
    def examples(cls) -> list[Perturbation]:
        """One and several standard deviations."""
        return [cls(std=0.6), cls()]
