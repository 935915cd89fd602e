"""Files that are written atomically, and locks."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from withstand.errors import BusyError


def write_whole(path: Path, content: bytes, *, settle: bool = True) -> None:
    """Write a file atomically, through a temporary one in the same folder that is synced and renamed.

    Args:
        path: Of the file; missing folders are made.
        content: Of the file.
        settle: Whether its name must survive a loss of power from now on; False leaves that to the next file of the
            folder that is written with True, which saves a wait for the disk.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(path.name + ".tmp")
    with temporary.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    if settle:
        sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make renames in a folder survive a loss of power, where the system can."""
    if os.name == "posix":
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


@contextmanager
def hold(folder: Path) -> Iterator[None]:
    """Hold a lock on a run's folder; it ends with the process, however that ends.

    Raises:
        BusyError: If another process works on the run.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        if os.name == "posix":
            import fcntl

            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as problem:
                raise BusyError(f"{folder} is being worked on by another process.") from problem
            except OSError:  # a file system without locks
                pass
        yield
