"""Evaluation: rows of sums and counts about a finished model."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import ClassVar

from torch import nn

from withstand.configuration import check_final
from withstand.data.base import Split
from withstand.engine import Engine
from withstand.study.row import Row


class Evaluation(ABC):
    """A measurement: a frozen keyword-only dataclass.

    Contract of every subclass: the model (weights, gradients, mode, batch statistics) and the global generators stay as
    they were; the rows depend on the model, the samples and the seed only, not on the engine; rows of parts of a split
    add up to the rows of the whole, if it is `additive`.

    Attributes:
        additive: Whether rows of parts add up; a median does not.
    """

    additive: ClassVar[bool] = True

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        check_final(cls)

    @property
    @abstractmethod
    def conditions(self) -> tuple[str, ...]:
        """The conditions that the rows have, in order."""

    @abstractmethod
    def measure(
        self, model: nn.Module, split: Split, *, seed: int, engine: Engine, fit_on: Split | None = None
    ) -> Iterator[Row]:
        """Yield the rows, the same in every process of the engine.

        Args:
            model: Maps inputs to logits; on the engine's device.
            split: The samples.
            seed: A sample's randomness derives from (seed, its `noise`, its number in the split).
            engine: Device, processes and batch size; decides no number.
            fit_on: Samples that an attack may be trained on: those of the training; None takes the samples themselves.
        """

    @classmethod
    @abstractmethod
    def examples(cls) -> list["Evaluation"]:
        """Return a few small instances, on which the contract tests run."""
