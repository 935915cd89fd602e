"""Checks of paths before they are opened, so that no pipe or device can block."""

import gzip
import os
import shlex
import stat
import zipfile
from pathlib import Path
from typing import BinaryIO, Literal, Protocol, cast

from withstand.errors import InputError, brief
from withstand.reading.addresses import LOCAL, SCHEME, Address

UNPACKED, MARGIN = 4, 1 << 24  # a zip file may unpack to this many times its size, and as many bytes more
MOST_PADDING = 1 << 16  # zeros behind a gzip file


class _Status(Protocol):
    @property
    def st_size(self) -> int: ...


class File(Protocol):
    """A file that is read: the methods of `Path` that a path, an address and content in memory have."""

    def stat(self) -> _Status:
        """Return its size in bytes."""
        ...

    def open(self, mode: Literal["rb"]) -> BinaryIO:
        """Open it for reading."""
        ...


def place_of(text: str | Path) -> Path | Address:
    """Return where data lie: the address of an object store such as `s3://bucket/photos`, or else a local path.

    Example:
        >>> place_of("s3://bucket/photos/"), place_of("file:///photos")
        (Address(text='s3://bucket/photos'), PosixPath('/photos'))
    """
    if isinstance(text, str) and SCHEME.match(text) and not LOCAL.match(text):
        return Address(text=text)
    return expanded(LOCAL.sub("", text) if isinstance(text, str) else text)


def expanded(path: str | Path) -> Path:
    """Return a path with `~` and `~user` as home folders; that of an unknown user stays as it is."""
    return Path(os.path.expanduser(path))  # noqa: PTH111 - `Path.expanduser` raises RuntimeError for unknown users


def is_file(path: Path) -> bool:
    """Return whether a path leads to a regular file; False if it cannot be accessed.

    Example:
        >>> is_file(Path(__file__)), is_file(Path("/dev/null")), is_file(Path("x" * 5000))
        (True, False, False)
    """
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def is_folder(path: Path) -> bool:
    """Return whether a path leads to a folder; False if it cannot be accessed."""
    try:
        return path.is_dir()
    except (OSError, ValueError):
        return False


def is_there(path: Path) -> bool:
    """Return whether a path exists; False if it cannot be accessed."""
    try:
        return path.exists()
    except (OSError, ValueError):
        return False


def read_bytes(path: Path | Address, *, most: int) -> bytes:
    """Return the content of a file.

    Args:
        path: The file.
        most: Largest size in bytes.

    Raises:
        OSError: If it is not a regular file, cannot be read, or is larger.
    """
    if isinstance(path, Address):
        return path.read_bytes(most=most)
    if not path.is_file():
        raise OSError("it is not a file" if path.exists() else "there is no such file")
    with path.open("rb") as file:
        # Some files, such as those in /proc, report no size.
        content = b"" if path.stat().st_size > most else file.read(most + 1)
    if len(content) > most or path.stat().st_size > most:
        raise OSError(f"it is larger than {most:,} bytes")
    return content


def open_packed(path: File) -> BinaryIO:
    """Open a file that gzip has compressed.

    Raises:
        OSError: If much padding follows the content: Python would look for its end byte by byte.
    """
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - MOST_PADDING))
        tail = file.read(MOST_PADDING)
    if len(tail) == MOST_PADDING and not any(tail):
        raise OSError(f"it ends in more than {MOST_PADDING:,} zeros")
    return cast(BinaryIO, gzip.open(path if isinstance(path, Path) else path.open("rb")))


def check_unpacked(who: str, path: Path) -> None:
    """Reject a zip file, such as weights of PyTorch, that unpacks to much more than its own size.

    Raises:
        InputError: If it does, or its directory is damaged.
    """
    size = path.stat().st_size
    try:
        if not zipfile.is_zipfile(path):
            return
        with zipfile.ZipFile(path) as archive:
            total = sum(each.file_size for each in archive.infolist())
    except (OSError, ValueError, zipfile.BadZipFile, NotImplementedError) as problem:
        raise InputError(f"{who}: {path} is damaged ({problem}).") from problem
    if total > UNPACKED * size + MARGIN:
        raise InputError(f"{who}: {path} must not unpack to much more than its {size:,} bytes, got {total:,}.")


def check_output(who: str, folder: Path) -> None:
    """Reject a folder for results that is a file, lies below one, or cannot be made.

    Args:
        who: First words of error messages, such as `output`.
        folder: The folder, which need not exist.

    Raises:
        InputError: If nothing can be written there.
    """
    for each in (folder, *folder.parents):
        is_folder = False
        try:
            is_folder = stat.S_ISDIR(each.stat().st_mode)
        except (FileNotFoundError, NotADirectoryError):
            if not each.is_symlink():
                continue
        except (OSError, ValueError) as problem:
            reason = (isinstance(problem, OSError) and problem.strerror) or problem
            raise InputError(f"{who}: expected a folder, got {brief(str(folder))} ({reason}).") from problem
        if not is_folder:
            raise InputError(f"{who}: expected a folder, found a file at {each}.")
        if each != folder and not os.access(each, os.W_OK | os.X_OK):
            raise InputError(f"{who}: cannot make {folder}; {each} is not a writable folder.")
        return


def quoted(*words: object) -> str:
    """Return a command quoted for a shell, for messages that suggest it.

    Example:
        >>> quoted("withstand", "report", Path("my runs/$(id)"))
        "withstand report 'my runs/$(id)'"
    """
    return shlex.join(map(str, words))
