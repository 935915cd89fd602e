"""Soft maximum over the losses of several draws."""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from withstand.functional.tensors import PerRow

# Losses whose differences over the temperature are above this are summed without cancellation.
NEARLY_EQUAL = -1.0


def soft_maximum(
    losses: Float[Tensor, "draw batch"], *, temperature: float, log_weights: Float[Tensor, "draw batch"] | None = None
) -> PerRow:
    r"""Return the normalised log-sum-exp over the draws.

    .. math:: \tau \log \sum_s w_s \exp(\ell_s / \tau), \quad \sum_s w_s = 1

    Args:
        losses: One loss per draw and sample, in nats.
        temperature: tau >= 0, in nats: 0 is the maximum, infinity the mean.
        log_weights: Logarithm of each draw's weight, up to a constant per sample; None means equal weights.

    Returns:
        One value per sample, between the smallest and the largest of its losses, in float32 or better.

    Source:
        Piat, Fadili, Jurie, da Veiga: "Regularized Robust Optimization with Application to Robust Learning".
        Differs: the weights sum to one, so the value does not grow with the number of draws.

    Example:
        >>> soft_maximum(torch.tensor([[0.0], [1.0]]), temperature=1e-3)
        tensor([0.9993])
    """
    losses = losses if losses.dtype == torch.float64 else losses.float()
    if log_weights is None:
        log_weights = torch.zeros_like(losses)
    log_weights = log_weights - log_weights.logsumexp(0)
    tiny = torch.finfo(losses.dtype).tiny
    if temperature < tiny:  # nothing can be divided by it
        return losses.masked_fill(log_weights == -math.inf, -math.inf).amax(0)
    if temperature > tiny**-0.5:  # it differs from the mean by less than its rounding
        return (log_weights.exp() * losses).sum(0)
    # The maximum is taken out first: at low temperatures loss / tau alone would lose the digits that matter.
    highest = losses.detach().amax(0)
    below = (losses - highest) / temperature
    folded = (below + log_weights).logsumexp(0)
    if temperature >= 1:
        # At high temperatures the result is a small number times tau; a difference of large numbers would lose it.
        small = torch.log1p((log_weights.exp() * below.clamp_min(-1).expm1()).sum(0))
        folded = torch.where(below.amin(0) > NEARLY_EQUAL, small, folded)
    return highest + temperature * folded


def weights_of_draws(
    losses: Float[Tensor, "draw batch"], *, temperature: float, log_weights: Float[Tensor, "draw batch"] | None = None
) -> Float[Tensor, "draw batch"]:
    """Return the derivative of the soft maximum by each loss: at least 0, with sum 1 over the draws.

    Args:
        losses: As in `soft_maximum`.
        temperature: As in `soft_maximum`; 0 gives all to the first of the highest losses.
        log_weights: As in `soft_maximum`.

    Example:
        >>> weights_of_draws(torch.tensor([[0.0], [1.0]]), temperature=1.0)
        tensor([[0.2689],
                [0.7311]])
    """
    losses = losses if losses.dtype == torch.float64 else losses.float()
    if log_weights is None:
        log_weights = torch.zeros((), device=losses.device)
    if temperature < torch.finfo(losses.dtype).tiny:
        allowed = losses.masked_fill(log_weights == -math.inf, -math.inf)
        return torch.zeros_like(losses).scatter_(0, allowed.argmax(0, keepdim=True), 1.0)
    return ((losses - losses.amax(0)) / temperature + log_weights).softmax(0)
