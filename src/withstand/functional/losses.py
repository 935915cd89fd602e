"""Losses per sample, from outputs and labels."""

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy, one_hot

from withstand.errors import InputError
from withstand.functional.tensors import PerRow, Targets

Loss = Literal["cross_entropy", "binary_cross_entropy", "hinge", "squared_error"]
# What an attack may climb: a loss, or the divergence from the prediction for the clean input, which needs no labels.
Climbed = Loss | Literal["divergence"]


def loss_per_sample(
    outputs: Float[Tensor, "batch output"],
    y: Targets | Float[Tensor, "batch output"],
    loss: Loss = "cross_entropy",
    *,
    label_smoothing: float = 0.0,
) -> PerRow:
    """Return one loss per sample, in float32 or better also under autocast.

    Args:
        outputs: Logits, or predictions for `squared_error`.
        y: Labels; or probabilities of the classes for the two cross entropies; numbers for `squared_error`.
        loss: `cross_entropy`, in nats; `binary_cross_entropy`, the sum over the classes of each one's own against
            the rest, in nats; `hinge`, by how much the label's logit fails to lead all others by 1; `squared_error`,
            half the squared distance to the only output.
        label_smoothing: Share of the target that is spread over all classes; for `cross_entropy` alone.

    Raises:
        InputError: If `squared_error` receives several outputs, or `hinge` or `squared_error` class probabilities.

    Source:
        Hinge: Crammer, Singer: "On the Algorithmic Implementation of Multiclass Kernel-based Vector Machines", 2001.

    Example:
        >>> loss_per_sample(torch.tensor([[2.0, 0.5]]), torch.tensor([1]), "hinge")
        tensor([2.5000])
    """
    outputs = outputs if outputs.dtype == torch.float64 else outputs.float()
    if y.ndim == 2 and loss not in ("cross_entropy", "binary_cross_entropy"):
        raise InputError(f"{loss}: targets must be one per sample, got probabilities of {y.shape[1]} classes.")
    if loss == "squared_error":
        if outputs.shape[1] != 1:
            raise InputError(f"squared_error: the model must have one output, got {outputs.shape[1]}.")
        return (outputs[:, 0] - y.to(outputs.dtype)).square() / 2
    if loss == "cross_entropy":
        return cross_entropy(outputs, y, reduction="none", label_smoothing=label_smoothing)
    own = y if y.ndim == 2 else one_hot(y, outputs.shape[1])
    if loss == "binary_cross_entropy":
        return binary_cross_entropy_with_logits(outputs, own.to(outputs.dtype), reduction="none").sum(1)
    highest = outputs.masked_fill(own.bool(), -torch.inf).amax(1)
    return (1 + highest - outputs.gather(1, y[:, None])[:, 0]).clamp_min(0)
