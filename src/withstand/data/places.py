"""Locations of data sets and downloads."""

import os
from pathlib import Path

from withstand.errors import InputError


def data_root(root: str | None) -> Path:
    """Return the folder that holds the data: the one given, else `$WITHSTAND_DATA`, else the user's cache."""
    if root is not None:
        return Path(root).expanduser()
    if os.environ.get("WITHSTAND_DATA"):
        return Path(os.environ["WITHSTAND_DATA"]).expanduser()
    return cache_folder()


def cache_folder() -> Path:
    """Return the download cache: `$XDG_CACHE_HOME/withstand`, else `~/.cache/withstand`."""
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "withstand"


def find(root: str | None, who: str, *names: str) -> Path:
    """Return the first of several places under the data root that exists.

    Args:
        root: The folder given by the user, or None.
        who: Name of the data set, for the message.
        names: Paths relative to the root, in order of preference.

    Raises:
        InputError: If none exists.
    """
    base = data_root(root)
    for name in names:
        if (base / name).exists():
            return base / name
    raise InputError(
        f"{who}: expected {' or '.join(names)} under {base}, found none; "
        "say where with --data.root DIR or WITHSTAND_DATA."
    )
