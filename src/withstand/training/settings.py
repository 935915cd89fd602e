"""Training: how long, in which batches, with which optimiser and schedule."""

from dataclasses import dataclass
from typing import Literal

from withstand.errors import InputError
from withstand.training.optimizers import Adam, Optimizer
from withstand.training.schedules import Cosine, Schedule


@dataclass(frozen=True, kw_only=True)
class Training:
    """How a model is trained, whatever the objective.

    Attributes:
        epochs: Passes over the training part.
        batch_size: Samples per step, over all processes.
        optimizer: Update rule of the parameters.
        schedule: Schedule of the learning rate.
        clip_norm: Maximum l2 norm of the gradient, above 0; None disables clipping.
        amp: Mixed precision; `fp16` uses loss scaling and needs CUDA. Losses stay float32.
        ema_decay: Decay of averaged weights, in (0, 1), which become the result; None disables averaging.
        keep: Resulting weights: of the last epoch, or of the best validation accuracy.
        patience: Epochs without better validation accuracy before stopping; None never stops early.
        augment: Whether to apply the data set's augmentation (crops, flips).
    """

    epochs: int = 10
    batch_size: int = 64
    optimizer: Optimizer = Adam()
    schedule: Schedule = Cosine()
    clip_norm: float | None = None
    amp: Literal["no", "bf16", "fp16"] = "no"
    ema_decay: float | None = None
    keep: Literal["last", "best"] = "last"
    patience: int | None = None
    augment: bool = True

    def __post_init__(self) -> None:
        for name, family in (("optimizer", Optimizer), ("schedule", Schedule)):
            if not isinstance(getattr(self, name), family):
                raise InputError(f"Training: {name} must be a {family.__name__}, got {getattr(self, name)!r}.")
        for name, known in (("amp", ("no", "bf16", "fp16")), ("keep", ("last", "best"))):
            if getattr(self, name) not in known:
                raise InputError(f"Training: {name} must be one of {', '.join(known)}, got {getattr(self, name)!r}.")
        for name, least in (("epochs", 0), ("batch_size", 1), ("patience", 1)):
            value = getattr(self, name)
            if value is not None and not (isinstance(value, int) and value >= least):
                raise InputError(f"Training: {name} must be a whole number of at least {least}, got {value}.")
        if self.clip_norm is not None and not self.clip_norm > 0:
            raise InputError(f"Training: clip_norm must be above 0, got {self.clip_norm}.")
        if self.ema_decay is not None and not 0 < self.ema_decay < 1:
            raise InputError(f"Training: ema_decay must be in (0, 1), got {self.ema_decay}.")

    @property
    def needs_validation(self) -> bool:
        """Whether the outcome depends on the validation part."""
        return self.keep == "best" or self.patience is not None
