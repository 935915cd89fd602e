"""float64 on devices that support it."""

import torch
from jaxtyping import Float
from torch import Tensor


def widest(device: torch.device) -> torch.dtype:
    """Return the widest floating dtype of a device: float32 for Apple's GPUs, float64 for all others.

    Example:
        >>> widest(torch.device("mps")), widest(torch.device("cpu"))
        (torch.float32, torch.float64)
    """
    return torch.float32 if device.type == "mps" else torch.float64


def in_double(x: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """Return values in float64, on the CPU where their device has none; results go back with `.to(x)`.

    Example:
        >>> in_double(torch.ones(1))
        tensor([1.], dtype=torch.float64)
    """
    return (x if widest(x.device) == torch.float64 else x.cpu()).double()
