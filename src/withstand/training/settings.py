"""Training settings: epochs, batch size, optimiser, schedule, precision."""

from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Gt, Lt

from withstand.limits import NonNegativeInt, PositiveInt, Within, check_fields
from withstand.training.optimizers import Adam, Optimizer
from withstand.training.schedules import Cosine, Schedule


@dataclass(frozen=True, kw_only=True)
class Training:
    """How a model is trained, whatever the objective.

    Attributes:
        epochs: Passes over the training part.
        batch_size: Samples per step, over all processes together.
        optimizer: Update rule of the parameters.
        schedule: How the learning rate changes.
        clip_norm: Maximum l2 norm of the gradient, above 0; None does not clip.
        amp: Mixed precision: `no`, `bf16`, or `fp16` (with loss scaling, CUDA only). Losses are float32 all the same.
        ema_decay: Decay of the running mean of the weights, in (0, 1), which is then the result; None keeps none.
        keep: The result: weights after the last epoch, or after the one with the best validation accuracy.
        patience: Stop after so many epochs without a better validation accuracy; None never stops early.
        augment: Whether to apply the data's own random augmentation (crops, flips).
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

    def __post_init__(self) -> None:
        check_fields(self)

    @property
    def needs_validation(self) -> bool:
        """Whether the result depends on the validation part."""
        return self.keep == "best" or self.patience is not None
