"""Drift of sensors."""

from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Ge, Le
from jaxtyping import Float
from torch import Tensor

from withstand.limits import Within
from withstand.perturbations.base import Perturbation
from withstand.perturbations.table_errors.number_error import NumberError


@dataclass(frozen=True, kw_only=True)
class SensorDrift(NumberError):
    """Numbers are shifted in one direction, as those of a sensor that is out of calibration.

    Attributes:
        probability: Probability that a number is shifted, independently, in [0, 1]; 1 shifts whole columns.
        strength: Shift in standard deviations of the column, negative for a shift downwards; in the units of the file
            if the data are not scaled.
        course: `constant` shifts by `strength`; `growing` by a fraction of it, uniform in [0, 1): the row is measured
            at a random time since the calibration.
    """

    strength: Annotated[float, Within(Ge(-1e6), Le(1e6))] = 1.0
    course: Literal["constant", "growing"] = "constant"

    def replaced(
        self, values: Float[Tensor, "draw batch"], numbers: Float[Tensor, "draw batch"], std: float
    ) -> Float[Tensor, "draw batch"]:
        """Add the shift."""
        return values + self.strength * std * (1.0 if self.course == "constant" else numbers)

    @classmethod
    def examples(cls) -> list[Perturbation]:
        """Constant and growing."""
        return [cls(probability=0.4), cls(probability=0.5, strength=-2.0, course="growing")]
