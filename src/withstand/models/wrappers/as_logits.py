"""Models that return probabilities, as models that return logits."""

from torch import Tensor, nn

LEAST = 2.0**-126  # the smallest normal number of 32 bits
TOLERANCE = 1e-3  # of the sum of probabilities
LAST = 2.0**-26  # below the distance from 1 of every number of 32 bits that is less than 1


class AsLogits(nn.Module):
    """A model with probabilities as outputs, as one with logits; the order of the classes is the same.

    Example:
        >>> import torch
        >>> AsLogits(nn.Softmax(dim=1))(torch.tensor([[0.0, 0.0]]))
        tensor([[-0.6931, -0.6931]])
    """

    def __init__(self, model: nn.Module, *, sums_to_one: bool = True) -> None:
        """Keep the model.

        Args:
            model: Returns values in [0, 1], one per class.
            sums_to_one: Whether those of a sample sum to 1: the logits are then their logarithms, else their log odds.
        """
        super().__init__()
        self.model, self.sums_to_one = model, sums_to_one

    def forward(self, x: Tensor) -> Tensor:
        """Return logits."""
        found = self.model(x)
        logarithm = found.clamp_min(LEAST).log()
        return logarithm if self.sums_to_one else logarithm - (1 - found).clamp_min(LAST).log()


def is_probability(outputs: Tensor) -> bool:
    """Return whether all outputs lie in [0, 1].

    Example:
        >>> import torch
        >>> is_probability(torch.tensor([[0.2, 0.8]])), is_probability(torch.tensor([[0.2, 1.8]]))
        (True, False)
    """
    return bool(((outputs >= 0) & (outputs <= 1)).all())


def sums_to_one(outputs: Tensor) -> bool:
    """Return whether the outputs of every sample sum to 1.

    Example:
        >>> import torch
        >>> sums_to_one(torch.tensor([[0.2, 0.8]])), sums_to_one(torch.tensor([[0.2, 0.3]]))
        (True, False)
    """
    return bool(((outputs.sum(1) - 1).abs() < TOLERANCE).all())
