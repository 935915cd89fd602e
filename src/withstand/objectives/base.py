"""Objective: a scalar to minimise, and what it trains or remembers besides the model."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any, NamedTuple, Protocol, runtime_checkable

from jaxtyping import Float, Int
from torch import Tensor, nn

from withstand.configuration import check_final
from withstand.functional.random import BatchStream, Rng


@runtime_checkable
class Stateful(Protocol):
    """What an objective carries from step to step; it travels in every checkpoint."""

    def state_dict(self) -> dict[str, Any]:
        """Return tensors, numbers and text, nested in dictionaries and lists."""
        ...

    def load_state_dict(self, state_dict: dict[str, Any]) -> Any:
        """Take over a state that `state_dict` returned."""
        ...


class Sample(NamedTuple):
    """A process's share of a training batch, and the source of randomness of the whole batch."""

    x: Float[Tensor, "batch *feature"]
    y: Int[Tensor, " batch"]
    rng: BatchStream


class Step(NamedTuple):
    """The outcome of one step.

    Attributes:
        loss: Mean over the batch, in nats; training follows its gradient.
        logs: Further numbers worth a curve, detached.
    """

    loss: Float[Tensor, ""]
    logs: dict[str, Tensor]


class Objective(ABC):
    """A scalar to minimise: a frozen keyword-only dataclass; everything that changes lives in its state."""

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        check_final(cls)

    def init(self, x: Float[Tensor, "batch *feature"], *, rng: Rng) -> Stateful:  # noqa: ARG002
        """Return a fresh state for inputs like x; empty unless the objective has something to remember."""
        return nn.Module()

    def begin_epoch(  # noqa: B027
        self,
        model: nn.Module,
        batches: Iterator[Sample],
        *,
        state: Stateful,
        epoch: int,
        epochs: int,
        rng: Rng,
    ) -> None:
        """Prepare the state for an epoch; nothing by default.

        Args:
            model: As in `step`.
            batches: Training batches without end, in an order of their own.
            state: What `init` made and earlier steps changed.
            epoch: Number of epochs done before this one.
            epochs: Number of epochs of the whole training.
            rng: Source of randomness for this call only, besides those of the batches; the same in every process.
        """

    @abstractmethod
    def step(
        self,
        model: nn.Module,
        x: Float[Tensor, "batch *feature"],
        y: Int[Tensor, " batch"],
        *,
        state: Stateful,
        count: int,
        rng: Rng,
    ) -> Step:
        """Return the loss of one batch.

        Args:
            model: Maps inputs to logits; in training mode.
            x: Inputs.
            y: Labels.
            state: What `init` made and earlier steps changed.
            count: Number of steps done before this one.
            rng: Source of randomness for this step only.
        """

    @classmethod
    @abstractmethod
    def examples(cls) -> list["Objective"]:
        """Return a few small instances, on which the contract tests run."""
