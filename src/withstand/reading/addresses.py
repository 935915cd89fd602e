"""Address: a file or folder in an object store, reached through fsspec."""

import io
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, NamedTuple

from withstand.errors import InputError, brief, told
from withstand.reading.listings import check_below, forget, is_visible, remember

SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")  # at least two letters: `C:` is a drive
LOCAL = re.compile(r"(file|local)://", re.IGNORECASE)
AT_ONCE = 1 << 24  # bytes of a first request; most images have fewer
BUFFER = 1 << 20  # bytes of each request of an opened file


class Status(NamedTuple):
    """The part of `os.stat_result` that readers use."""

    st_size: int


@dataclass(frozen=True, kw_only=True, order=True)
class Address:
    """A file or folder in a file system of fsspec, such as `s3://bucket/photos`.

    It has the methods of `Path` with which data are read. An address holds no connection: it can be pickled, and each
    process makes its own file system. Listings are used again for a minute.

    All methods raise InputError if the file system cannot be reached, refuses access, or its package is missing, so
    that such a failure is never taken for a damaged or missing file.

    Attributes:
        text: The address, without a slash at the end.
    """

    text: str

    def __post_init__(self) -> None:
        if "::" in self.text:
            raise InputError(f"data: an address must name one file system, got {brief(self.text)}.")
        scheme = SCHEME.match(self.text)
        assert scheme is not None
        rest = self.text[scheme.end() :].rstrip("/")
        object.__setattr__(self, "text", scheme[0].lower() + rest)

    def __str__(self) -> str:
        return self.text

    def __truediv__(self, other: str | Path) -> "Address":
        parts = [self.text.removesuffix("/"), *(each for each in str(other).split("/") if each not in ("", "."))]
        return Address(text="/".join(parts))

    @property
    def _path(self) -> PurePosixPath:
        return PurePosixPath(self.text.partition("://")[2])

    @property
    def name(self) -> str:
        """Last part."""
        return self._path.name

    @property
    def stem(self) -> str:
        """Last part without its suffix."""
        return self._path.stem

    @property
    def suffix(self) -> str:
        """Suffix of the last part."""
        return self._path.suffix

    @property
    def parent(self) -> "Address":
        """The folder."""
        above, _, _ = self.text.rpartition("/")
        return self if above.endswith("/") else Address(text=above)

    def with_name(self, name: str) -> "Address":
        """Return another file in the same folder."""
        return self.parent / name

    def relative_to(self, folder: "Address") -> PurePosixPath:
        """Return the path below a folder."""
        return self._path.relative_to(folder._path)

    def resolve(self) -> "Address":
        """Return the address: there are no links."""
        return self

    def exists(self) -> bool:
        """Return whether it is a file or folder."""
        return self._info() is not None

    def is_file(self) -> bool:
        """Return whether it is a file."""
        return (self._info() or {}).get("type") == "file"

    def is_dir(self) -> bool:
        """Return whether it is a folder, which holds at least one file in object stores."""
        return (self._info() or {}).get("type") == "directory"

    def stat(self) -> Status:
        """Return the size in bytes.

        Raises:
            FileNotFoundError: If it does not exist.
            OSError: If the file system does not say its size, as web servers may.
        """
        info = self._info()
        if info is None:
            raise FileNotFoundError("there is no such file")
        if info.get("size") is None:
            raise OSError("its size is unknown")
        return Status(int(info["size"]))

    def stamp(self) -> str:
        """Return a text that changes with the content of a file."""
        with self._reached() as (system, path):
            return system.ukey(path)

    def read(self, start: int, stop: int) -> bytes:
        """Return bytes of a file from `start` to before `stop`, or to its end.

        Raises:
            FileNotFoundError: If it does not exist.
        """
        try:
            with self._reached() as (system, path):
                return bytes(system.cat_file(path, start=start, end=stop))
        except _BeyondEndError:
            return b""

    def read_bytes(self, *, most: int) -> bytes:
        """Return the content of a file.

        Args:
            most: Largest size in bytes.

        Raises:
            OSError: If it does not exist, is larger, or its size is unknown and not small.
        """
        content = self.read(0, min(AT_ONCE, most + 1))
        size = self.stat().st_size if len(content) == AT_ONCE else len(content)
        if size > most:
            raise OSError(f"it is larger than {most:,} bytes")
        return content + self.read(len(content), size) if size > len(content) else content

    def open(self, mode: str = "rb", buffering: int = BUFFER) -> BinaryIO:
        """Open a file for reading; every request reads at least `buffering` bytes."""
        assert mode == "rb"
        return io.BufferedReader(_Ranges(self), buffering)  # pyright: ignore[reportReturnType]

    def write_bytes(self, content: bytes) -> None:
        """Store a file at once: others see all of it or nothing."""
        try:
            with self._reached("written") as (system, path):
                system.pipe_file(path, content)
        except FileNotFoundError as problem:
            raise InputError(f"data: {self} cannot be written ({told(problem)}).") from problem
        forget()

    def remove(self) -> None:
        """Remove a file, if it exists."""
        with suppress(FileNotFoundError), self._reached("removed") as (system, path):
            system.rm_file(path)
        forget()

    def all_files(self) -> list[str]:
        """Return the paths of all files below this folder, hidden ones as well, relative to it and sorted.

        Raises:
            InputError: If a path has empty parts, or leads out of the folder.
        """
        try:
            with self._reached() as (system, path):
                found = sorted(_below(path, each) for each in system.find(path))
        except (FileNotFoundError, NotADirectoryError):
            return []
        found = [each for each in found if each and not each.endswith("/")]
        for each in found:
            check_below(f"data: {self}", each)
        return found

    def entries(self) -> dict[str, bool]:
        """Return whether it is a folder by name of each visible file and folder in this folder.

        There are none if this folder does not exist.
        """

        def make() -> dict[str, bool]:
            try:
                with self._reached() as (system, path):
                    found = system.ls(path, detail=True)
            except (FileNotFoundError, NotADirectoryError):
                return {}
            names = {_below(path, each["name"]): each["type"] == "directory" for each in found}
            return {each: is_folder for each, is_folder in names.items() if is_visible(each)}

        return remember("entries", self.text, make)

    def files(self) -> list[str]:
        """Return the paths of all visible files below this folder, relative to it, sorted; none if it does not exist.

        Raises:
            InputError: If a path has empty parts, or leads out of the folder.
        """

        def make() -> list[str]:
            try:
                with self._reached() as (system, path):
                    found = [_below(path, each) for each in system.find(path)]
            except (FileNotFoundError, NotADirectoryError):
                return []
            found = sorted(each for each in found if is_visible(each) and not each.endswith("/"))
            for each in found:
                check_below(f"data: {self}", each)
            return found

        return remember("files", self.text, make)

    def _info(self) -> dict[str, Any] | None:
        try:
            with self._reached() as (system, path):
                return system.info(path)
        except (FileNotFoundError, NotADirectoryError):
            return None

    @contextmanager
    def _reached(self, done: str = "read") -> Iterator[tuple[Any, str]]:
        """Yield the file system of this process, and the path in it; `done` is what is tried, for messages."""
        scheme = self.text.partition("://")[0]
        try:
            from fsspec.core import url_to_fs

            yield url_to_fs(self.text, use_listings_cache=False)
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError, InputError):
            raise
        except ImportError as problem:
            advice = "; run pip install 'withstand[remote]'" if scheme in ("s3", "s3a") else ""
            raise InputError(
                f"data: {self} needs a package that is not installed ({told(problem)}){advice}."
            ) from problem
        except Exception as problem:  # each file system has its own
            if isinstance(problem, ValueError) and "Protocol not known" in str(problem):
                raise InputError(
                    f"data: {self} must begin with a protocol of fsspec, such as s3://, got {scheme}://."
                ) from problem
            if isinstance(problem, OSError) and "range is not satisfiable" in str(problem):
                raise _BeyondEndError from problem
            raise InputError(f"data: {self} cannot be {done} ({told(problem)}).") from problem


class _BeyondEndError(Exception):
    """A range begins at or after the end of a file."""


class _Ranges(io.RawIOBase):
    """A file that is read in ranges."""

    def __init__(self, address: Address) -> None:
        self.address, self.position, self.size = address, 0, address.stat().st_size

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self.position, os.SEEK_END: self.size}[whence]
        if start + offset < 0:
            raise OSError("it is read before its start")
        self.position = start + offset
        return self.position

    def readinto(self, buffer: Any) -> int:
        stop = min(self.position + len(buffer), self.size)
        found = self.address.read(self.position, stop) if stop > self.position else b""
        buffer[: len(found)] = found
        self.position += len(found)
        return len(found)

    def readall(self) -> bytes:
        found = self.address.read(self.position, self.size) if self.position < self.size else b""
        self.position += len(found)
        return found


def _below(folder: str, path: str) -> str:
    return path[len(folder.rstrip("/")) + 1 :] if folder else path
