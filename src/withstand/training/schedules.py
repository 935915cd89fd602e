"""How the learning rate changes: a factor that depends on the progress of training only."""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass

from withstand.configuration import check_final
from withstand.errors import InputError


class Schedule(ABC):
    """A factor on the learning rate: a frozen keyword-only dataclass.

    Attributes:
        warmup: Epochs (a fraction is fine) in which the factor rises linearly from 0.
    """

    warmup: float

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        check_final(cls)

    def __post_init__(self) -> None:
        if not 0 <= self.warmup < math.inf:
            raise InputError(f"{type(self).__name__}: warmup must be a number of epochs >= 0, got {self.warmup}.")

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
    """No change after the warm-up.

    Attributes:
        warmup: Epochs in which the factor rises linearly from 0.
    """

    warmup: float = 0.0

    def after_warmup(self, progress: float, epochs: int) -> float:  # noqa: ARG002
        """Always 1."""
        return 1.0


@dataclass(frozen=True, kw_only=True)
class Cosine(Schedule):
    """Half a cosine from 1, at the end of the warm-up, to the floor, at the end of training.

    Attributes:
        warmup: Epochs in which the factor rises linearly from 0.
        floor: Last factor, in [0, 1].

    Source:
        Loshchilov, Hutter: "SGDR: Stochastic Gradient Descent with Warm Restarts", ICLR 2017, equation 5, no restarts.
    """

    warmup: float = 0.0
    floor: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.floor <= 1:
            raise InputError(f"Cosine: floor must be in [0, 1], got {self.floor}.")

    def after_warmup(self, progress: float, epochs: int) -> float:
        """Follow the cosine."""
        share = min(1.0, max(0.0, progress - self.warmup) / max(epochs - self.warmup, 1e-9))
        return self.floor + (1 - self.floor) * 0.5 * (1 + math.cos(math.pi * share))


@dataclass(frozen=True, kw_only=True)
class StepDecay(Schedule):
    """Multiply by a constant at a fixed interval of epochs.

    Attributes:
        warmup: Epochs in which the factor rises linearly from 0.
        every: Epochs between two changes, at least 1.
        decay: Multiplier of the factor, in (0, 1].
    """

    warmup: float = 0.0
    every: int = 30
    decay: float = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.every < 1 or not 0 < self.decay <= 1:
            raise InputError(
                f"StepDecay: every must be at least 1 and decay in (0, 1], got {self.every} and {self.decay}."
            )

    def after_warmup(self, progress: float, epochs: int) -> float:  # noqa: ARG002
        """Count the changes so far."""
        return self.decay ** (int(progress) // self.every)
