"""Models with the gradients of their roundings replaced."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

STEPS = {
    getattr(where, name) for where in (torch, Tensor) for name in ("round", "floor", "ceil", "trunc", "fix", "sign")
}


class StraightThrough(nn.Module):
    """A model whose roundings and signs have a gradient of 1 instead of 0; its outputs are the same.

    Example:
        >>> x = torch.tensor([[0.3]], requires_grad=True)
        >>> torch.autograd.grad(StraightThrough(_Round())(x).sum(), x)
        (tensor([[1.]]),)

    Source:
        Athalye, Carlini, Wagner 2018, arXiv 1802.00420, section 4.1.1.
    """

    def __init__(self, model: nn.Module) -> None:
        """Keep a model."""
        super().__init__()
        self.model = model

    def forward(self, x: Tensor) -> Tensor:
        """Return the model's outputs."""
        with _Replaced():
            return self.model(x)


def rounds(model: nn.Module, x: Tensor) -> bool:
    """Return whether a model rounds anything at some inputs.

    Example:
        >>> rounds(_Round(), torch.zeros(1, 2)), rounds(nn.Linear(2, 2), torch.zeros(1, 2))
        (True, False)
    """
    with _Replaced() as mode:
        model(x)
    return mode.count > 0


class _Replaced(TorchFunctionMode):
    count = 0

    def __torch_function__(
        self, func: Callable[..., Any], types: Sequence[type], args: Any = (), kwargs: Any = None
    ) -> Any:
        found = func(*args, **(kwargs or {}))
        if func not in STEPS or not isinstance(args[0], Tensor) or not args[0].is_floating_point():
            return found
        self.count += 1
        return found.detach() + (args[0] - args[0].detach())


class _Round(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.round()
