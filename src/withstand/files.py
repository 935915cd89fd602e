"""Files that are written atomically, and locks."""

import errno
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

from filelock import BaseFileLock, FileLock, Timeout

from withstand.errors import BusyError, InputError, stop_if_asked

LOCK = "lock"
MOST_TRIES = 20  # to lock a folder that others remove
MOST_NAMED = 40  # characters of a name in the name of its temporary file; file systems allow 255 bytes
TEMPORARY = re.compile(r"\..*\.[0-9a-f]{12}\.tmp")
# How flock fails on file systems that have no locks; these are used without.
WITHOUT_LOCKS = (errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP, errno.EINVAL)


def write_whole(path: Path, content: bytes, *, settle: bool = True) -> None:
    """Write a file atomically: a temporary file in the same folder is synced and renamed.

    Args:
        path: Path of the file; missing folders are made.
        content: Content of the file.
        settle: Whether to sync the folder as well, so that the new name survives a power loss; False leaves this to a
            later file in the same folder.

    Raises:
        InputError: If there is a folder in its place.
        OSError: If the file cannot be written; the temporary one is removed.
        Stopped: If a signal asked the command to stop, since the content may be a consequence of the signal.
    """
    stop_if_asked()
    check_no_folder(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name[:MOST_NAMED]}.{uuid4().hex[:12]}.tmp")
    try:
        with named(path), temporary.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise
    if settle:
        sync_folder(path.parent)


def check_no_folder(path: Path) -> None:
    """Reject a folder in place of a file.

    Raises:
        InputError: If there is one.
    """
    if path.is_dir():
        raise InputError(f"{path} must be a file, found a folder; move it away.")


def check_no_link(folder: Path) -> None:
    """Reject a link in place of a folder in which files are removed, since the link may lead outside.

    Raises:
        InputError: If there is one.
    """
    if folder.is_symlink():
        raise InputError(f"{folder} must be a folder, found a link, in which nothing is removed; put the folder there.")


def remove_folder(folder: Path) -> None:
    """Remove a folder that the program wrote, if it exists. No link is followed.

    Raises:
        InputError: If there is a link in its place.
    """
    check_no_link(folder)
    if folder.exists():
        shutil.rmtree(folder)


@contextmanager
def named(path: Path) -> Iterator[None]:
    """Add the name of the file to an OSError without one, such as that of a full disk."""
    try:
        yield
    except OSError as problem:
        problem.filename = problem.filename or str(path)
        raise


def sync_folder(folder: Path) -> None:
    """Sync a folder, so that renames in it survive a power loss; no-op on Windows."""
    if os.name == "posix":
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


@contextmanager
def hold(folder: Path, *, leaves_lock: bool = True) -> Iterator[None]:
    """Hold the lock of a folder; it is freed when the process ends, even if forked children live on.

    Temporary files that killed processes left in the folder are removed.

    Args:
        folder: The folder; it is made if it is missing.
        leaves_lock: Whether the lock's file stays; False removes it at the end, and the folder if it is empty.

    Raises:
        BusyError: If another process works in the folder.
    """
    check_no_folder(folder / LOCK)
    lock = _acquired(folder)
    try:
        if lock.is_locked:
            clear(folder, deep=leaves_lock)
        yield
    finally:
        if not leaves_lock:  # before the release, so that a process that has already opened the file cannot lock it
            with suppress(OSError):
                (folder / LOCK).unlink()
                folder.rmdir()
        lock.release()


def clear(folder: Path, *, deep: bool = False) -> None:
    """Remove temporary files that killed processes left in a folder.

    Args:
        folder: A folder whose lock is held.
        deep: Whether to clear its subfolders as well, except those that have their own lock.
    """
    for place, folders, files in os.walk(folder):
        for name in filter(TEMPORARY.fullmatch, files):
            (Path(place) / name).unlink(missing_ok=True)
        folders[:] = [each for each in folders if deep and not (Path(place) / each / LOCK).exists()]


def _acquired(folder: Path) -> BaseFileLock:
    for left in range(MOST_TRIES, -1, -1):
        lock = FileLock(folder / LOCK, blocking=False, fallback_to_soft=False)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            lock.acquire()
        except Timeout as problem:
            raise BusyError(
                f"{folder} is being worked on by another process; wait for it or stop it, then run the same command "
                "again."
            ) from problem
        except (FileNotFoundError, FileExistsError):
            if left:  # the last owner has just removed the folder
                continue
            raise
        except OSError as problem:
            if problem.errno not in WITHOUT_LOCKS:
                raise
        return lock
    raise AssertionError("the last attempt returns or raises")
