"""Objective: the base of training objectives, and their state."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any, ClassVar, NamedTuple, Protocol, runtime_checkable

from jaxtyping import Float
from torch import Tensor, nn

from withstand.configuration import Configuration
from withstand.data.sample import Sample
from withstand.data.space import Space
from withstand.functional.random import BatchStream, Rng
from withstand.functional.tensors import PerRow, Points, Targets

Batches = Iterator[tuple[Sample, BatchStream]]


@runtime_checkable
class Stateful(Protocol):
    """State of an objective between steps; saved in every checkpoint."""

    def state_dict(self) -> dict[str, Any]:
        """Return tensors, numbers and text, nested in dictionaries and lists."""
        ...

    def load_state_dict(self, state_dict: dict[str, Any]) -> Any:
        """Restore a state that `state_dict` returned."""
        ...


class Step(NamedTuple):
    """The outcome of one step.

    Attributes:
        loss: Mean over the batch of each sample's loss times its weight, in nats; training follows its gradient.
        logs: Further numbers to log, detached.
    """

    loss: Float[Tensor, ""]
    logs: dict[str, Tensor]


class Objective(Configuration, ABC):
    """A loss to minimise: a frozen keyword-only dataclass. Everything that changes is in its state.

    Attributes:
        operations: What it does to inputs itself, such as `noise`; perturbations that it holds declare their own. None
            is unknown.
    """

    operations: ClassVar[frozenset[str] | None] = None

    def init(self, x: Points, *, model: nn.Module, rng: Rng) -> Stateful:
        """Return a fresh state for inputs like x; empty by default.

        Args:
            x: Inputs, for their shape and device.
            model: As in `step`, before the first step.
            rng: Source of randomness, the same in every process.
        """
        return nn.Module()

    def trained(self, state: Stateful) -> nn.Module:
        """Return the part of the state that the optimiser updates together with the model; empty by default."""
        return nn.Module()

    def check(self, space: Space) -> None:
        """Reject a space that the objective does not fit; called before training starts.

        Raises:
            InputError: If it does not fit.
        """

    def begin_epoch(
        self, model: nn.Module, batches: Batches, *, space: Space, state: Stateful, epoch: int, epochs: int, rng: Rng
    ) -> None:
        """Prepare the state for an epoch; nothing by default.

        Args:
            model: As in `step`.
            batches: Endless training batches, shuffled independently: this process's share of each, and the source
                of randomness of the whole batch.
            space: As in `step`.
            state: From `init`, changed by earlier steps.
            epoch: Number of epochs done before this one.
            epochs: Number of epochs of the whole training.
            rng: Source of randomness for this call only, besides those of the batches; the same in every process.
        """

    @abstractmethod
    def step(
        self,
        model: nn.Module,
        x: Points,
        y: Targets,
        *,
        weight: PerRow | None = None,
        space: Space,
        state: Stateful,
        count: int,
        rng: Rng,
    ) -> Step:
        """Return the loss of one batch.

        Args:
            model: Maps inputs to logits; in training mode.
            x: Inputs.
            y: Labels, or the targets of a regression.
            weight: Factor of each sample's loss, at least 0; None means 1.
            space: The input space.
            state: From `init`, changed by earlier steps.
            count: Number of steps done before this one.
            rng: Source of randomness for this step only.
        """

    @classmethod
    @abstractmethod
    def examples(cls) -> list["Objective"]:
        """Return a few small instances, on which the contract tests run."""


def weighted_mean(losses: PerRow, weight: PerRow | None) -> Float[Tensor, ""]:
    """Return the mean of the losses, each times its weight, if there are weights.

    Example:
        >>> import torch
        >>> weighted_mean(torch.tensor([1.0, 3.0]), torch.tensor([0.5, 1.5]))
        tensor(2.5000)
    """
    return losses.mean() if weight is None else (weight * losses).mean()
