"""Pool: does blocks, several at a time."""

from abc import ABC, abstractmethod
from types import TracebackType
from typing import Self

from withstand.pools.block import Block, Outcome


class Pool(ABC):
    """Does several blocks at a time."""

    @property
    @abstractmethod
    def free(self) -> int:
        """Number of blocks that can begin now."""

    @abstractmethod
    def begin(self, key: str, block: Block) -> None:
        """Begin a block, identified by its key."""

    @abstractmethod
    def wait(self, seconds: float) -> list[tuple[str, Outcome]]:
        """Return keys and outcomes of ended blocks, after at most the given seconds."""

    @abstractmethod
    def close(self) -> None:
        """Stop the blocks that are being done; what they have written stays."""

    def __enter__(self) -> Self:
        """Return the pool."""
        return self

    def __exit__(self, kind: type[BaseException] | None, value: object, trace: TracebackType | None) -> None:
        """Close the pool."""
        self.close()
