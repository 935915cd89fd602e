"""A model together with a surrogate."""

from torch import Tensor, nn


class WithSurrogate(nn.Module):
    """A model together with another one whose gradients attacks follow too, where those of the model do not help.

    Only the model's own outputs decide whether a point counts.

    Example:
        >>> import torch
        >>> model = WithSurrogate(nn.Sequential(nn.Linear(2, 2), nn.Softmax(dim=1)), nn.Linear(2, 2))
        >>> model(torch.zeros(1, 2)).sum().isclose(torch.tensor(1.0)).item()
        True
    """

    def __init__(self, model: nn.Module, surrogate: nn.Module) -> None:
        """Keep a model and a surrogate for it; both map inputs to logits."""
        super().__init__()
        self.model, self.surrogate = model, surrogate

    def forward(self, x: Tensor) -> Tensor:
        """Return the model's outputs."""
        return self.model(x)
