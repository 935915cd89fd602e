"""Pool: executor of the runs of a sweep."""

from abc import ABC, abstractmethod
from types import TracebackType
from typing import Self

from withstand.experiment import Experiment
from withstand.sweeps.attempt import Outcome


class Pool(ABC):
    """Does several runs at a time."""

    @property
    @abstractmethod
    def free(self) -> int:
        """Number of runs that can begin now."""

    @abstractmethod
    def begin(self, key: str, experiment: Experiment) -> None:
        """Begin a run, identified by its key."""

    @abstractmethod
    def wait(self, seconds: float) -> list[tuple[str, Outcome]]:
        """Return keys and outcomes of ended runs, after at most the given seconds."""

    @abstractmethod
    def close(self) -> None:
        """Stop the running runs; their checkpoints stay."""

    def __enter__(self) -> Self:
        """Return the pool."""
        return self

    def __exit__(self, kind: type[BaseException] | None, value: object, trace: TracebackType | None) -> None:
        """Close the pool."""
        self.close()
