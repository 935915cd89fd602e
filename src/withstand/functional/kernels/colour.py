"""Changes of colour in closed form."""

import torch
from jaxtyping import Float
from torch import Tensor


def brighten(
    x: Float[Tensor, "batch channel height width"], amount: float
) -> Float[Tensor, "batch channel height width"]:
    """Return images whose value V of the HSV colour model is larger by an amount, cut to [0, 1].

    V is the largest channel. With hue and saturation kept all channels are proportional to V, so they are
    multiplied by the new V over the old; black becomes grey. An image of one channel is its own V.

    Args:
        x: Images in [0, 1].
        amount: What is added to V.

    Example:
        >>> brighten(torch.tensor([0.5, 0.25, 0.0]).reshape(1, 3, 1, 1), 0.25).flatten()
        tensor([0.7500, 0.3750, 0.0000])
    """
    value = x.amax(dim=1, keepdim=True)
    new = (value + amount).clamp(0, 1)
    return torch.where(value > 0, x * (new / value), new)
