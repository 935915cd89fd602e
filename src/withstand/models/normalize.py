"""Input normalisation, the first layer of every model."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn


class Normalize(nn.Module):
    """(x - mean) / std, with one mean and std per channel or feature, kept as buffers; one-channel images are spread.

    Example:
        >>> layer = Normalize(mean=[0.5, 0.5, 0.5], std=[0.5, 0.5, 0.5])
        >>> layer(torch.ones(1, 1, 2, 2)).shape
        torch.Size([1, 3, 2, 2])
    """

    mean: Tensor
    std: Tensor

    def __init__(self, mean: Sequence[float], std: Sequence[float]) -> None:
        """Register mean and std, in input units; a single value is used for all channels or features."""
        super().__init__()
        self.register_buffer("mean", torch.tensor(mean, dtype=torch.float32))
        self.register_buffer("std", torch.tensor(std, dtype=torch.float32))

    def forward(self, x: Float[Tensor, "batch channel *size"]) -> Float[Tensor, "batch normalised *size"]:
        """Normalise the inputs."""
        per_channel = (-1, *[1] * (x.ndim - 2))
        return (x - self.mean.view(per_channel)) / self.std.view(per_channel)
