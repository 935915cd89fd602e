"""Consistency: the loss of the clean input and the Jensen-Shannon divergence of all copies."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from withstand.functional.tensors import PerRow
from withstand.limits import NonNegativeFloat
from withstand.objectives.folds.base import Fold, LossOf, log_probabilities, shares_of_draws

# Lower bound of the probabilities of the mixture. Source: google-research/augmix, cifar.py.
LEAST = 1e-7


@dataclass(frozen=True, kw_only=True)
class Consistency(Fold):
    r"""Cross entropy of the unchanged input, and how much the predictions for it and for its copies differ.

    .. math:: \ell(x) + \lambda \sum_s w_s \mathrm{KL}(p_s \| m), \quad m = \sum_s w_s p_s

    Here s runs over the unchanged input and the draws, and all w are equal unless the draws have weights.

    Attributes:
        weight: lambda >= 0.

    Source:
        Hendrycks, Mu, Cubuk, Zoph, Gilmer, Lakshminarayanan 2020, arXiv 1912.02781 (AugMix), section 3: two draws,
        weight 12.
    """

    needs_probabilities: ClassVar[bool] = True
    weight: NonNegativeFloat = 12.0

    @property
    def takes_clean(self) -> bool:
        """Yes."""
        return True

    def reduce(
        self,
        outputs: Float[Tensor, "copy batch output"],
        targets: Tensor,
        *,
        loss: LossOf,
        log_weights: Float[Tensor, "draw batch"] | None = None,
    ) -> PerRow:
        """Return the cross entropy plus the weighted divergence."""
        logs = log_probabilities(outputs)
        draws = shares_of_draws(log_weights, logs[1:])
        count = len(outputs)
        shares = torch.cat([torch.full_like(draws[:1], 1 / count), draws * ((count - 1) / count)]).unsqueeze(-1)
        probabilities = logs.exp()
        mixture = (shares * probabilities).sum(0).clamp(LEAST, 1).log()
        divergence = (shares * probabilities * (logs - mixture)).sum((0, 2))
        return loss(outputs[0], targets[0]) + self.weight * divergence

    @classmethod
    def examples(cls) -> list[Fold]:
        """The published weight, and a lower one."""
        return [cls(), cls(weight=1.0)]
