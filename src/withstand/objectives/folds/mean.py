"""The mean of the losses of the copies."""

import math
from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from withstand.functional.risks import soft_maximum
from withstand.functional.tensors import PerRow
from withstand.objectives.folds.base import Fold, LossOf, losses_of_copies


@dataclass(frozen=True, kw_only=True)
class Mean(Fold):
    """Mean of the losses of the copies, by their weights.

    Attributes:
        clean: Whether the unchanged input is one more copy.
    """

    clean: bool = False

    @property
    def takes_clean(self) -> bool:
        """As the field says."""
        return self.clean

    @property
    def as_temperature(self) -> float | None:
        """Infinity, if all copies are draws."""
        return None if self.clean else math.inf

    def reduce(
        self,
        outputs: Float[Tensor, "copy batch output"],
        targets: Tensor,
        *,
        loss: LossOf,
        log_weights: Float[Tensor, "draw batch"] | None = None,
    ) -> PerRow:
        """Return the mean; the unchanged input counts as much as an average draw."""
        losses = losses_of_copies(outputs, targets, loss)
        if len(losses) == 1:
            return losses[0]
        if not self.clean:
            return soft_maximum(losses, temperature=math.inf, log_weights=log_weights)
        others = soft_maximum(losses[1:], temperature=math.inf, log_weights=log_weights)
        return (losses[0] + (len(losses) - 1) * others) / len(losses)

    @classmethod
    def examples(cls) -> list[Fold]:
        """Without and with the unchanged input."""
        return [cls(), cls(clean=True)]
