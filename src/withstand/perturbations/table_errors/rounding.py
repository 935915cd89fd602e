"""Rounded numbers."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from withstand.limits import PositiveInt
from withstand.perturbations.base import Perturbation
from withstand.perturbations.table_errors.number_error import NumberError


@dataclass(frozen=True, kw_only=True)
class Rounding(NumberError):
    """Numbers are rounded to a few significant digits, in the units of the file: 1234 to 1000.

    Attributes:
        probability: Probability that a number is rounded, independently, in [0, 1].
        digits: Number of significant digits that are left, at least 1.
    """

    digits: PositiveInt = 1

    def replaced(
        self, values: Float[Tensor, "draw batch"], numbers: Float[Tensor, "draw batch"], std: float
    ) -> Float[Tensor, "draw batch"]:
        """Round."""
        tiny = torch.finfo(values.dtype).tiny
        exponent = values.abs().clamp(min=tiny).log10().floor() - (self.digits - 1)
        step = torch.pow(10.0, exponent).clamp(min=tiny)
        return (values / step).round() * step

    @classmethod
    def examples(cls) -> list[Perturbation]:
        """One digit and two."""
        return [cls(probability=0.4), cls(probability=0.5, digits=2)]
