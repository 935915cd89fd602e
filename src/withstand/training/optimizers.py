"""Optimisers."""

from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from inspect import unwrap
from typing import TypeVar, cast

import torch
from torch import nn

from withstand.configuration import Configuration
from withstand.errors import InputError
from withstand.limits import NonNegativeFloat, PositiveFloat, Share

Kind = TypeVar("Kind", bound=torch.optim.Optimizer)


@dataclass(frozen=True, kw_only=True)
class Optimizer(Configuration, ABC):
    """An optimiser: a frozen keyword-only dataclass that builds PyTorch's.

    Attributes:
        lr: Learning rate before the schedule, above 0.
        weight_decay: At least 0; applied to weights, but not to biases and other vectors.
    """

    lr: PositiveFloat
    weight_decay: NonNegativeFloat = 0.0

    def build(self, model: nn.Module) -> torch.optim.Optimizer:
        """Return the optimiser of a model's trainable parameters."""
        trainable = [each for each in model.parameters() if each.requires_grad]
        if self.weight_decay == 0:
            return self.make(trainable)
        return self.make(
            [
                {"params": [each for each in trainable if each.ndim > 1]},
                {"params": [each for each in trainable if each.ndim <= 1], "weight_decay": 0.0},
            ]
        )

    @abstractmethod
    def make(self, parameters: Iterable) -> torch.optim.Optimizer:
        """Return PyTorch's optimiser for some parameters or groups of them."""


@dataclass(frozen=True, kw_only=True)
class SGD(Optimizer):
    """Stochastic gradient descent.

    Attributes:
        momentum: In [0, 1).
        nesterov: Whether to use Nesterov momentum.
    """

    lr: PositiveFloat = 0.1
    momentum: Share = 0.9
    nesterov: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.nesterov and self.momentum == 0:
            raise InputError("SGD: nesterov needs a momentum above 0, got 0.")

    def make(self, parameters: Iterable) -> torch.optim.Optimizer:
        """PyTorch's SGD."""
        momentum = {"momentum": self.momentum, "nesterov": self.nesterov}
        return _uncompiled(torch.optim.SGD)(parameters, lr=self.lr, weight_decay=self.weight_decay, **momentum)


@dataclass(frozen=True, kw_only=True)
class Adam(Optimizer):
    """Adam.

    Attributes:
        betas: Decay rates of the two running means, each in [0, 1).
        weight_decay: At least 0, added to the gradient; applied to weights, not to biases and other vectors.
    """

    lr: PositiveFloat = 1e-3
    betas: tuple[Share, Share] = (0.9, 0.999)

    def make(self, parameters: Iterable) -> torch.optim.Optimizer:
        """PyTorch's Adam."""
        return _uncompiled(torch.optim.Adam)(parameters, lr=self.lr, betas=self.betas, weight_decay=self.weight_decay)


@dataclass(frozen=True, kw_only=True)
class AdamW(Optimizer):
    """Adam with decoupled weight decay.

    Attributes:
        betas: Decay of the two running means, each in [0, 1).
    """

    lr: PositiveFloat = 1e-3
    betas: tuple[Share, Share] = (0.9, 0.999)
    weight_decay: NonNegativeFloat = 0.01

    def make(self, parameters: Iterable) -> torch.optim.Optimizer:
        """PyTorch's AdamW."""
        return _uncompiled(torch.optim.AdamW)(parameters, lr=self.lr, betas=self.betas, weight_decay=self.weight_decay)


def _uncompiled(kind: type[Kind]) -> type[Kind]:
    """Return an optimizer of PyTorch without the wrappers that import its compiler, which takes seconds and 150 MB."""
    names = ("add_param_group", "load_state_dict", "state_dict", "zero_grad")
    own = {name: unwrap(getattr(kind, name)) for name in names}
    made = type(kind.__name__, (kind,), own | {"step": torch.no_grad()(unwrap(kind.step))})
    return cast(type[Kind], made)
