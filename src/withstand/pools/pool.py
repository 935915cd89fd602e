"""Pool: does blocks, several at a time."""

from abc import ABC, abstractmethod
from hashlib import sha256
from pathlib import Path
from types import TracebackType
from typing import Self

from withstand.files import write_whole
from withstand.pools.block import Block, Outcome
from withstand.pools.shared import Shared, SharedFile


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

    def share(self, content: bytes, path: Path) -> Shared:
        """Put content where all blocks can read it, and return how they do.

        Args:
            content: What blocks have in common, such as the weights of a model.
            path: File for it, in a folder that all machines see.
        """
        write_whole(path, content)
        return SharedFile(path.resolve(), sha256(content).hexdigest())

    @abstractmethod
    def close(self) -> None:
        """Stop the blocks that are being done; what they have written stays."""

    def __enter__(self) -> Self:
        """Return the pool."""
        return self

    def __exit__(self, kind: type[BaseException] | None, value: object, trace: TracebackType | None) -> None:
        """Close the pool."""
        self.close()
