"""Draws: what perturbations return."""

from typing import NamedTuple

from jaxtyping import Float, Real
from torch import Tensor

from withstand.functional.tensors import Targets


class Draws(NamedTuple):
    """Changed copies of a batch of inputs.

    Attributes:
        inputs: The copies, with the axis of the draws in front.
        log_weights: Logarithm of each draw's weight where draws are not equally likely; None means equal weights.
        targets: Probability of each class, where the copies are mixtures of classes; None means the given labels.
    """

    inputs: Float[Tensor, "draw batch *feature"]
    log_weights: Float[Tensor, "draw batch"] | None = None
    targets: Float[Tensor, "draw batch class"] | None = None


def targets_of(draws: Draws, y: Targets) -> Real[Tensor, " point"] | Float[Tensor, "point class"]:
    """Return the target of every copy, draw by draw: the given label, unless the draws have targets of their own.

    Example:
        >>> import torch
        >>> targets_of(Draws(torch.zeros(2, 3, 1)), torch.tensor([0, 1, 2]))
        tensor([0, 1, 2, 0, 1, 2])
    """
    if draws.targets is not None:
        return draws.targets.flatten(0, 1)
    return y if len(draws.inputs) == 1 else y.repeat(len(draws.inputs))
