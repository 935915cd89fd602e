"""Files that are written atomically."""

import os
from pathlib import Path


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
