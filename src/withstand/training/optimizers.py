"""How parameters follow their gradients."""

from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import nn

from withstand.configuration import check_final
from withstand.errors import InputError


class Optimizer(ABC):
    """An optimiser: a frozen keyword-only dataclass that builds PyTorch's.

    Attributes:
        lr: Learning rate before the schedule, above 0.
        weight_decay: At least 0; applied to weights, not to biases and other vectors.
    """

    lr: float
    weight_decay: float

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        check_final(cls)

    def __post_init__(self) -> None:
        who = type(self).__name__
        if not 0 < self.lr < float("inf"):
            raise InputError(f"{who}: lr must be a number above 0, got {self.lr}.")
        if not 0 <= self.weight_decay < float("inf"):
            raise InputError(f"{who}: weight_decay must be a number >= 0, got {self.weight_decay}.")

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
        lr: Learning rate before the schedule, above 0.
        momentum: In [0, 1).
        nesterov: Whether the momentum looks ahead.
        weight_decay: At least 0; applied to weights, not to biases and other vectors.
    """

    lr: float = 0.1
    momentum: float = 0.9
    nesterov: bool = False
    weight_decay: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.momentum < 1:
            raise InputError(f"SGD: momentum must be in [0, 1), got {self.momentum}.")
        if self.nesterov and self.momentum == 0:
            raise InputError("SGD: nesterov needs a momentum above 0, got 0.")

    def make(self, parameters: Iterable) -> torch.optim.Optimizer:
        """PyTorch's SGD."""
        return torch.optim.SGD(
            parameters,
            lr=self.lr,
            momentum=self.momentum,
            nesterov=self.nesterov,
            weight_decay=self.weight_decay,
        )


@dataclass(frozen=True, kw_only=True)
class Adam(Optimizer):
    """Adam.

    Attributes:
        lr: Learning rate before the schedule, above 0.
        betas: Decay of the two running means, each in [0, 1).
        weight_decay: At least 0, added to the gradient; applied to weights, not to biases and other vectors.
    """

    lr: float = 1e-3
    betas: tuple[float, float] = (0.9, 0.999)
    weight_decay: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_betas("Adam", self.betas)

    def make(self, parameters: Iterable) -> torch.optim.Optimizer:
        """PyTorch's Adam."""
        return torch.optim.Adam(parameters, lr=self.lr, betas=self.betas, weight_decay=self.weight_decay)


@dataclass(frozen=True, kw_only=True)
class AdamW(Optimizer):
    """Adam with decoupled weight decay.

    Attributes:
        lr: Learning rate before the schedule, above 0.
        betas: Decay of the two running means, each in [0, 1).
        weight_decay: At least 0; applied to weights, not to biases and other vectors.
    """

    lr: float = 1e-3
    betas: tuple[float, float] = (0.9, 0.999)
    weight_decay: float = 0.01

    def __post_init__(self) -> None:
        super().__post_init__()
        check_betas("AdamW", self.betas)

    def make(self, parameters: Iterable) -> torch.optim.Optimizer:
        """PyTorch's AdamW."""
        return torch.optim.AdamW(parameters, lr=self.lr, betas=self.betas, weight_decay=self.weight_decay)


def check_betas(who: str, betas: tuple[float, float]) -> None:
    """Reject decays of running means outside [0, 1)."""
    if any(not 0 <= each < 1 for each in betas):
        raise InputError(f"{who}: betas must be two numbers in [0, 1), got {betas}.")
