"""Learning rate schedules."""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Annotated

from annotated_types import Ge, Gt, Le

from withstand.configuration import Configuration
from withstand.limits import NonNegativeFloat, PositiveInt, Within


@dataclass(frozen=True, kw_only=True)
class Schedule(Configuration, ABC):
    """A factor on the learning rate: a frozen keyword-only dataclass.

    Attributes:
        warmup: Epochs (a fraction is fine) in which the factor rises linearly from 0.
    """

    warmup: NonNegativeFloat = 0.0

    def factor(self, count: int, *, steps_per_epoch: int, epochs: int) -> float:
        """Return the factor for the step after `count` steps, in [0, 1]."""
        progress = count / steps_per_epoch
        rise = min(1.0, (count + 1) / (self.warmup * steps_per_epoch)) if self.warmup else 1.0
        return rise * self.after_warmup(progress, epochs)

    @abstractmethod
    def after_warmup(self, progress: float, epochs: int) -> float:
        """Return the factor at a progress, in epochs."""


@dataclass(frozen=True, kw_only=True)
class Constant(Schedule):
    """No change after the warm-up."""

    def after_warmup(self, progress: float, epochs: int) -> float:
        """Always 1."""
        return 1.0


@dataclass(frozen=True, kw_only=True)
class Cosine(Schedule):
    """Half a cosine, from 1 at the end of the warm-up to the floor at the end of training.

    Attributes:
        floor: Last factor, in [0, 1].

    Source:
        Loshchilov, Hutter: "SGDR: Stochastic Gradient Descent with Warm Restarts", ICLR 2017, equation 5, no restarts.
    """

    floor: Annotated[float, Within(Ge(0), Le(1))] = 0.0

    def after_warmup(self, progress: float, epochs: int) -> float:
        """Follow the cosine."""
        share = min(1.0, max(0.0, progress - self.warmup) / max(epochs - self.warmup, 1e-9))
        return self.floor + (1 - self.floor) * 0.5 * (1 + math.cos(math.pi * share))


@dataclass(frozen=True, kw_only=True)
class StepDecay(Schedule):
    """Multiply by a constant at a fixed interval of epochs.

    Attributes:
        every: Number of epochs between two changes, at least 1.
        decay: Multiplier of the factor, in (0, 1].
    """

    every: PositiveInt = 30
    decay: Annotated[float, Within(Gt(0), Le(1))] = 0.1

    def after_warmup(self, progress: float, epochs: int) -> float:
        """Count the changes so far."""
        return self.decay ** (int(progress) // self.every)
