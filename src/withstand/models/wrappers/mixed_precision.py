"""A model that computes in bfloat16 where that is precise enough."""

from typing import Literal

import torch
from torch import Tensor, nn

from withstand.errors import InputError
from withstand.models.wrappers.black_box import BlackBox
from withstand.models.wrappers.with_surrogate import WithSurrogate

Precision = Literal["no", "bf16"]


class MixedPrecision(nn.Module):
    """A model under autocast to bfloat16, with outputs in float32; its weights stay in their own type.

    Example:
        >>> MixedPrecision(nn.Linear(1, 1, bias=False))(torch.ones(1, 1)).dtype
        torch.float32
    """

    def __init__(self, model: nn.Module) -> None:
        """Wrap a model that maps inputs to logits."""
        super().__init__()
        self.model = model

    def forward(self, x: Tensor) -> Tensor:
        """Return the outputs for a batch."""
        with torch.autocast(x.device.type, dtype=torch.bfloat16):
            return self.model(x).float()


def in_bf16(model: nn.Module, *, who: str) -> nn.Module:
    """Return a model that computes in bfloat16; a surrogate for its gradients stays as it is.

    Raises:
        InputError: If PyTorch does not compute the model's outputs.
    """
    if isinstance(model, WithSurrogate):
        return WithSurrogate(in_bf16(model.model, who=who), model.surrogate)
    if isinstance(model, BlackBox):
        raise InputError(f"{who}: amp bf16 needs a torch.nn.Module, got a model of another package; leave it out.")
    return MixedPrecision(model)


def check_float32(model: nn.Module, *, who: str) -> None:
    """Reject a model in mixed precision, for proofs about the network in float32.

    Raises:
        InputError: If a part of it is one.
    """
    if any(isinstance(part, MixedPrecision) for part in model.modules()):
        raise InputError(f"{who}: bounds are proven for float32, got a model with amp bf16; leave it out.")


def check_bf16(device: torch.device, *, who: str) -> None:
    """Reject a device without mixed precision in bfloat16.

    Raises:
        InputError: If it is an Apple GPU under macOS 13 or older, or of another kind without autocast.
    """
    is_old = device.type == "mps" and not torch.backends.mps.is_macos_or_newer(14, 0)
    if is_old or not torch.amp.autocast_mode.is_autocast_available(device.type):
        needs = "macOS 14 or newer" if is_old else "a CPU, a CUDA device or an Apple GPU"
        raise InputError(f"{who}: amp bf16 needs {needs}, got {device.type}; leave it out.")
