"""Files that are written atomically, and locks."""

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from withstand.errors import BusyError, InputError

# How flock fails on file systems that have no locks; these are used without.
WITHOUT_LOCKS = (errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP, errno.EINVAL)


def write_whole(path: Path, content: bytes, *, settle: bool = True) -> None:
    """Write a file atomically, through a temporary one in the same folder that is synced and renamed.

    Args:
        path: Path of the file; missing folders are made.
        content: Content of the file.
        settle: Whether to sync the folder, too, so that the new name survives a power loss; False leaves this to a
            later file of the same folder.

    Raises:
        InputError: If there is a folder in its place.
    """
    check_no_folder(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(path.name + ".tmp")
    with temporary.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    if settle:
        sync_folder(path.parent)


def check_no_folder(path: Path) -> None:
    """Reject a folder in the place of a file.

    Raises:
        InputError: If there is one.
    """
    if path.is_dir():
        raise InputError(f"{path} must be a file, found a folder; move it away.")


def check_no_link(folder: Path) -> None:
    """Reject a link in the place of a folder in which files are removed: those may belong to something else.

    Raises:
        InputError: If there is one.
    """
    if folder.is_symlink():
        raise InputError(f"{folder} must be a folder, found a link, in which nothing is removed; put the folder there.")


def remove_folder(folder: Path) -> None:
    """Remove a folder of our own with all that is in it; nothing if there is none. No link is followed.

    Raises:
        InputError: If there is a link in its place.
    """
    check_no_link(folder)
    if folder.exists():
        shutil.rmtree(folder)


def sync_folder(folder: Path) -> None:
    """Sync a folder, so that renames in it survive a power loss; no-op on Windows."""
    if os.name == "posix":
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


@contextmanager
def hold(folder: Path) -> Iterator[None]:
    """Hold the lock of a run's folder; it is freed when the process ends, even if forked children live on.

    Raises:
        BusyError: If another process works on the run.
    """
    folder.mkdir(parents=True, exist_ok=True)
    check_no_folder(folder / "lock")
    lock = FileLock(folder / "lock", blocking=False, fallback_to_soft=False)
    try:
        lock.acquire()
    except Timeout as problem:
        raise BusyError(
            f"{folder} is being worked on by another process; wait for it or stop it, then run the same command again."
        ) from problem
    except OSError as problem:
        if problem.errno not in WITHOUT_LOCKS:
            raise
    try:
        yield
    finally:
        lock.release()
