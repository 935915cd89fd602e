"""Held: a file whose content is in memory."""

import io
from dataclasses import dataclass
from typing import BinaryIO

from withstand.reading.addresses import Status


@dataclass(frozen=True, kw_only=True)
class Held:
    """A file whose content is in memory, with the methods of `Path` with which data are read.

    Attributes:
        place: Where it comes from, for messages.
        content: Its bytes.
    """

    place: object
    content: bytes

    def __str__(self) -> str:
        return str(self.place)

    def stat(self) -> Status:
        """Return the size in bytes."""
        return Status(len(self.content))

    def open(self, mode: str = "rb") -> BinaryIO:
        """Open the content."""
        assert mode == "rb"
        return io.BytesIO(self.content)
