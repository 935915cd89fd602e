"""Outliers."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from withstand.limits import PositiveFloat
from withstand.perturbations.base import Perturbation
from withstand.perturbations.table_errors.number_error import NumberError


@dataclass(frozen=True, kw_only=True)
class Outliers(NumberError):
    """Numbers are far off, by a spike of a sensor or an impossible entry, in a random direction.

    Attributes:
        probability: Probability that a number is wrong, independently, in [0, 1].
        strength: Distance from the right number in standard deviations of its column, above 0; in the units of the file
            if the data are not scaled.
    """

    strength: PositiveFloat = 5.0

    def replaced(
        self, values: Float[Tensor, "draw batch"], numbers: Float[Tensor, "draw batch"], std: float
    ) -> Float[Tensor, "draw batch"]:
        """Add or subtract."""
        return values + self.strength * std * torch.where(numbers < 0.5, -1.0, 1.0)

    @classmethod
    def examples(cls) -> list[Perturbation]:
        """Far and very far."""
        return [cls(probability=0.4), cls(probability=0.5, strength=20.0)]
