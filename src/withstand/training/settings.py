"""Training settings: epochs, batch size, optimiser, schedule, precision."""

from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Gt, Lt

from withstand.configuration import later
from withstand.errors import InputError
from withstand.limits import NonNegativeInt, PositiveInt, Share, Within, check_fields
from withstand.training.optimizers import Adam, Optimizer
from withstand.training.schedules import Cosine, Schedule


@dataclass(frozen=True, kw_only=True)
class Training:
    """Settings of training that do not depend on the objective.

    Attributes:
        epochs: Passes over the training part.
        batch_size: Samples per step, over all processes.
        optimizer: Optimizer.
        schedule: Learning-rate schedule.
        clip_norm: Maximum l2 gradient norm, above 0; None disables clipping.
        amp: Mixed precision; `fp16` uses loss scaling and needs CUDA. Losses stay float32.
        ema_decay: Decay of the moving average of the weights, in (0, 1). The run returns the averaged weights. None
            disables this averaging.
        swa_start: Share of the training, in [0, 1), after which the weights at the end of each epoch are averaged
            equally (SWA). The run returns the average, with re-estimated batch normalisation. None disables this
            averaging.
        keep: Weights to keep: last epoch, or best validation accuracy.
        patience: Epochs without better validation accuracy before stopping; None never stops early.
        augment: Whether to apply the data set's augmentation (crops, flips).
        reestimate_batch_norm: Whether the statistics of batch normalisation are computed anew for the resulting
            weights, as means over the training batches, perturbed as in training; always the case with `swa_start`.

    Source:
        SWA: Izmailov, Podoprikhin, Garipov, Vetrov, Wilson 2018, arXiv 1803.05407: from 75 % of the training on, with
        a constant or cyclical learning rate.
    """

    epochs: NonNegativeInt = 10
    batch_size: PositiveInt = 64
    optimizer: Optimizer = Adam()
    schedule: Schedule = Cosine()
    clip_norm: Annotated[float, Within(Gt(0))] | None = None
    amp: Literal["no", "bf16", "fp16"] = "no"
    ema_decay: Annotated[float, Within(Gt(0), Lt(1))] | None = None
    keep: Literal["last", "best"] = "last"
    patience: PositiveInt | None = None
    augment: bool = True
    swa_start: Share | None = later(None)
    reestimate_batch_norm: bool = later(False)

    def __post_init__(self) -> None:
        check_fields(self)
        if self.ema_decay is not None and self.swa_start is not None:
            raise InputError(
                f"training: expected ema_decay or swa_start, got both ({self.ema_decay:g} and {self.swa_start:g})."
            )

    @property
    def needs_validation(self) -> bool:
        """Whether the result depends on the validation part."""
        return self.keep == "best" or self.patience is not None
