"""TRADES: the loss of the clean input and the divergence of its copies from it."""

from dataclasses import dataclass
from typing import ClassVar

from jaxtyping import Float
from torch import Tensor

from withstand.functional.tensors import PerRow
from withstand.limits import NonNegativeFloat
from withstand.objectives.folds.base import Fold, LossOf, log_probabilities, shares_of_draws


@dataclass(frozen=True, kw_only=True)
class Trades(Fold):
    r"""Cross entropy of the unchanged input, and the divergence of the predictions for its copies from that for it.

    .. math:: \ell(x) + \beta \sum_s w_s \mathrm{KL}(p(x) \| p(x_s))

    Published with `PGD(loss="divergence")`, which searches the copy with the largest divergence.

    Attributes:
        beta: Weight of the divergence, >= 0.

    Source:
        Zhang, Yu, Jiao, Xing, El Ghaoui, Jordan 2019, arXiv 1901.08573: beta 6 for CIFAR-10, 1 for MNIST.
    """

    needs_probabilities: ClassVar[bool] = True
    beta: NonNegativeFloat = 6.0

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
        """Return the cross entropy plus the weighted divergence; gradients go through both predictions."""
        logs = log_probabilities(outputs)
        shares = shares_of_draws(log_weights, logs[1:])
        divergence = (shares * (logs[0].exp() * (logs[0] - logs[1:])).sum(2)).sum(0)
        return loss(outputs[0], targets[0]) + self.beta * divergence

    @classmethod
    def examples(cls) -> list[Fold]:
        """The published weights."""
        return [cls(), cls(beta=1.0)]
