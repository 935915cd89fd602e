"""Mistakes of units."""

from dataclasses import dataclass
from typing import Annotated

from jaxtyping import Float
from torch import Tensor

from withstand.limits import NonEmpty, PositiveFloat
from withstand.perturbations.base import Perturbation
from withstand.perturbations.table_errors.number_error import NumberError


@dataclass(frozen=True, kw_only=True)
class UnitMistakes(NumberError):
    """Numbers are entered in another unit: multiplied by a factor in the units of the file.

    Attributes:
        probability: Probability that a number is wrong, independently, in [0, 1].
        factors: Factors, above 0, of which one is drawn per wrong number: a misplaced decimal mark (10), grams for
            kilograms (1000), and euros for cents (0.01).
    """

    factors: Annotated[tuple[PositiveFloat, ...], NonEmpty] = (10.0, 1000.0, 0.01)

    def replaced(
        self, values: Float[Tensor, "draw batch"], numbers: Float[Tensor, "draw batch"], std: float
    ) -> Float[Tensor, "draw batch"]:
        """Multiply."""
        factors = values.new_tensor(self.factors)
        return values * factors[(numbers * len(self.factors)).long().clamp(max=len(self.factors) - 1)]

    @classmethod
    def examples(cls) -> list[Perturbation]:
        """Several factors and one."""
        return [cls(probability=0.4), cls(probability=0.5, factors=(2.54,))]
