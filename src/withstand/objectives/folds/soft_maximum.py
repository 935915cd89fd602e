"""The soft maximum over the losses of the copies."""

import math
from dataclasses import dataclass, replace
from typing import Literal

from jaxtyping import Float
from torch import Tensor

from withstand import limits
from withstand.errors import InputError
from withstand.functional.risks import soft_maximum
from withstand.functional.tensors import PerRow
from withstand.objectives.folds.base import Fold, LossOf, losses_of_copies

Cooling = Literal["constant", "linear", "log_linear"]


@dataclass(frozen=True, kw_only=True)
class SoftMaximum(Fold):
    r"""Soft maximum of the losses of the copies: :math:`\tau \log \sum_s w_s \exp(\ell_s / \tau)`.

    Attributes:
        temperature: tau >= 0 in nats: 0 takes the worst copy, infinity the mean; not used with a single copy.
            Perturbations whose own temperature is None use this one.
        last_temperature: tau in the last epoch; None keeps tau constant.
        cooling: How tau changes from epoch to epoch: `linear`, or `log_linear` (by equal factors).

    Source:
        Piat, Fadili, Jurie, da Veiga: "Regularized Robust Optimization with Application to Robust Learning".
        Differs: the log-sum-exp is normalised, so losses with different numbers of draws are comparable; the
        temperature falls with every epoch, not with every step.
    """

    temperature: limits.Temperature = 1.0
    last_temperature: limits.Temperature | None = None
    cooling: Cooling = "log_linear"

    def __post_init__(self) -> None:
        super().__post_init__()
        ends = (self.temperature, self.last_temperature)
        if self.last_temperature is not None and self.cooling == "log_linear" and 0 in ends:
            raise InputError("SoftMaximum: log_linear cooling needs temperatures > 0, got 0; linear can end there.")
        if self.last_temperature is not None and self.cooling != "constant" and math.inf in ends:
            raise InputError("SoftMaximum: cooling needs finite temperatures, got inf; leave out last_temperature.")

    @property
    def as_temperature(self) -> float:
        """The temperature."""
        return self.temperature

    def at(self, progress: float) -> "SoftMaximum":
        """Return the fold with the temperature at that point of the training.

        Example:
            >>> SoftMaximum(temperature=1.0, last_temperature=0.01).at(0.5).temperature
            0.1
        """
        first, last = self.temperature, self.last_temperature
        if last is None or self.cooling == "constant":
            return self
        now = first + progress * (last - first) if self.cooling == "linear" else first * (last / first) ** progress
        return replace(self, temperature=now, last_temperature=None)

    def reduce(
        self,
        outputs: Float[Tensor, "copy batch output"],
        targets: Tensor,
        *,
        loss: LossOf,
        log_weights: Float[Tensor, "draw batch"] | None = None,
    ) -> PerRow:
        """Return the soft maximum."""
        losses = losses_of_copies(outputs, targets, loss)
        if len(losses) == 1:
            return losses[0]
        return soft_maximum(losses, temperature=self.temperature, log_weights=log_weights)

    @classmethod
    def examples(cls) -> list[Fold]:
        """Constant and falling."""
        return [cls(temperature=0.1), cls(temperature=1.0, last_temperature=0.1)]
