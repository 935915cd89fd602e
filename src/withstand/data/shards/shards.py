"""Shards: tar files whose members are read in place, as the files of one folder."""

import re
from dataclasses import dataclass
from itertools import product
from pathlib import Path

from withstand.data.images.files_below import files_in, walk_images
from withstand.errors import InputError
from withstand.reading.addresses import Address, Status
from withstand.reading.places import place_of

RANGE = re.compile(r"\{([0-9]{1,9})\.\.([0-9]{1,9})\}")
MOST_SHARDS = 100_000
SUFFIX = ".tar"


@dataclass(frozen=True, kw_only=True)
class Member:
    """A member of a shard, with the methods of `Path` with which images are read.

    Attributes:
        shard: The tar file.
        name: Path of the member.
        start: Position of its content in the shard, in bytes.
        size: Size of its content in bytes.
    """

    shard: Path | Address
    name: str
    start: int
    size: int

    def __str__(self) -> str:
        return f"{self.shard}/{self.name}"

    def is_file(self) -> bool:
        """True."""
        return True

    def exists(self) -> bool:
        """True."""
        return True

    def stat(self) -> Status:
        """Return the size in bytes."""
        return Status(self.size)

    def read_bytes(self, *, most: int) -> bytes:
        """Return the content.

        Args:
            most: Largest size in bytes.

        Raises:
            OSError: If it is larger, or cannot be read.
            InputError: If the shard has vanished or become shorter.
        """
        if self.size > most:
            raise OSError(f"it is larger than {most:,} bytes")
        try:
            if isinstance(self.shard, Address):
                content = self.shard.read(self.start, self.start + self.size) if self.size else b""
            else:
                with self.shard.open("rb") as file:
                    file.seek(self.start)
                    content = file.read(self.size)
        except FileNotFoundError as problem:
            raise InputError(f"data: the shard {self.shard} has vanished while it was read.") from problem
        if len(content) < self.size:
            raise InputError(f"data: the shard {self.shard} has become shorter while it was read.")
        return content


@dataclass(frozen=True, kw_only=True)
class Shards:
    """The images of several shards, as the files of one folder.

    Attributes:
        pattern: As the user writes it, for messages.
        shards: The tar files.
        members: By path: number of the shard, name, start and size in bytes.
    """

    pattern: str
    shards: tuple[Path | Address, ...]
    members: dict[str, tuple[int, str, int, int]]

    def __str__(self) -> str:
        return self.pattern

    def __truediv__(self, file: str) -> Member:
        number, name, start, size = self.members[file]
        return Member(shard=self.shards[number], name=name, start=start, size=size)


def is_shards(pattern: str, place: Path | Address) -> bool:
    """Return whether a path means shards: tar files by name, or a folder that holds some and no images."""
    if pattern.lower().endswith(SUFFIX):
        return not place.is_dir()
    if not place.is_dir() or not any(each.lower().endswith(SUFFIX) for each in files_in(place)):
        return False
    return next(walk_images(place), None) is None


def find_shards(who: str, pattern: str) -> tuple[Path | Address, ...]:
    """Return the tar files of a pattern in its order.

    Args:
        who: Name of the data set, for messages.
        pattern: A tar file, a folder of some, or a path with ranges of numbers such as `{000000..000009}`.

    Raises:
        InputError: If there is none, or a range is empty.
    """
    written, ranges = RANGE.split(pattern), list(RANGE.finditer(pattern))
    if ranges:
        numbers = [range(int(each[1]), int(each[2]) + 1) for each in ranges]
        count = 1
        for each in numbers:
            count *= len(each)
        if not 0 < count <= MOST_SHARDS:
            raise InputError(f"{who}: expected 1 to {MOST_SHARDS:,} shards, got {count:,} from {pattern}.")
        widths = [len(each[1]) for each in ranges]
        texts: list[str] = []
        for chosen in product(*numbers):
            padded = [f"{number:0{width}}" for number, width in zip(chosen, widths, strict=True)]
            texts.append("".join(text + number for text, number in zip(written[::3], [*padded, ""], strict=True)))
        return tuple(map(place_of, texts))
    place = place_of(pattern)
    if not place.is_dir():
        return (place,)
    found = sorted(each for each in files_in(place) if each.lower().endswith(SUFFIX))
    if not found:
        raise InputError(f"{who}: expected tar files in {place}, found none.")
    return tuple(place / each for each in found)
