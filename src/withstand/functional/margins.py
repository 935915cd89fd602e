"""Margins: by how much the logits speak for another class than the label."""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from withstand.functional.tensors import Labels, PerRow

Logits = Float[Tensor, "batch class"]


def margin(logits: Logits, y: Labels) -> PerRow:
    """Return the highest logit of another class minus the label's, in float32 or better.

    Example:
        >>> margin(torch.tensor([[2.0, 0.5, 1.0]]), torch.tensor([0]))
        tensor([-1.])
    """
    logits = _wide(logits)
    others = logits.scatter(1, y[:, None], -torch.inf).amax(1)
    return others - logits.gather(1, y[:, None])[:, 0]


def is_wrong(logits: Logits, y: Labels) -> Bool[Tensor, " batch"]:
    """Return whether the label does not win: a tie, and a logit that is NaN, count as wrong.

    Example:
        >>> is_wrong(torch.tensor([[2.0, 0.5], [1.0, 1.0], [torch.nan, 0.0]]), torch.tensor([0, 0, 1])).tolist()
        [False, True, True]
    """
    return ~(margin(logits, y) < 0)


def leads(logits: Logits, y: Labels) -> Logits:
    """Return the lead of each class over the label, in float32 or better.

    Example:
        >>> leads(torch.tensor([[3.0, 1.0, -1.0]]), torch.tensor([0]))
        tensor([[ 0., -2., -4.]])
    """
    logits = _wide(logits)
    return logits - logits.gather(1, y[:, None])


def log_odds(logits: Logits, y: Labels) -> PerRow:
    """Return the log odds against the label: they grow with its cross entropy, but do not underflow.

    Cross entropy is log(1 + exp(log odds)): both have the same direction of steepest ascent. In 32 bits the gradient of
    cross entropy is 0 for a confident model, the gradient of the log odds is not.

    Example:
        >>> log_odds(torch.tensor([[200.0, 0.0, 0.0]]), torch.tensor([0]))
        tensor([-199.3069])
    """
    logits = _wide(logits)
    others = logits.scatter(1, y[:, None], -torch.inf).logsumexp(1)
    return others - logits.gather(1, y[:, None])[:, 0]


def logits_ratio(logits: Logits, y: Labels) -> PerRow:
    """Return the difference of logits ratio (DLR): the margin divided by the lead of the first logit over the third.

    With two classes there is no third: the result is the margin itself.

    Source:
        Croce, Hein 2020, arXiv 2003.01690, equation 6.

    Example:
        >>> logits_ratio(torch.tensor([[4.0, 3.0, 2.0]]), torch.tensor([0]))
        tensor([-0.5000])
    """
    if logits.shape[1] < 3:
        return margin(logits, y)
    top = _wide(logits).topk(3, dim=1).values
    return margin(logits, y) / (top[:, 0] - top[:, 2] + 1e-12)


def targeted_logits_ratio(logits: Logits, y: Labels, target: Int[Tensor, " batch"]) -> PerRow:
    """Return the targeted difference of logits ratio: the lead of the target over the label, divided by a spread.

    The spread is the lead of the first logit over the mean of the third and the fourth. With fewer than four classes it
    is not taken: the result is the target's logit minus the label's.

    Source:
        Croce, Hein 2020, arXiv 2003.01690, equation 7.
        Differs: with three classes the lead over the third would make the ratio constant where that is the target.
    """
    logits = _wide(logits)
    lead = logits.gather(1, target[:, None])[:, 0] - logits.gather(1, y[:, None])[:, 0]
    if logits.shape[1] < 4:
        return lead
    top = logits.topk(4, dim=1).values
    return lead / (top[:, 0] - top[:, 2:].mean(1) + 1e-12)


def _wide(logits: Tensor) -> Tensor:
    return logits if logits.dtype == torch.float64 else logits.float()
