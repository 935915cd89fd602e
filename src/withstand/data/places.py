"""Locations of data sets and downloads."""

import os
from pathlib import Path

from withstand.errors import InputError
from withstand.reading.addresses import Address
from withstand.reading.places import expanded, place_of


def data_root(root: str | None) -> Path | Address:
    """Return the folder of the data: the given one, else `$WITHSTAND_DATA`, else the download cache."""
    if root is not None:
        return place_of(root)
    if os.environ.get("WITHSTAND_DATA"):
        return place_of(os.environ["WITHSTAND_DATA"])
    return cache_folder()


def local_root() -> Path:
    """Return `$WITHSTAND_DATA`, if it is a local folder, else the download cache."""
    root = data_root(None)
    return root if isinstance(root, Path) else cache_folder()


def cache_folder() -> Path:
    """Return the download cache: `$XDG_CACHE_HOME/withstand`, else `~/.cache/withstand`."""
    return expanded(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "withstand"


def find(root: str | None, who: str, *names: str) -> Path | Address:
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


def find_folder(who: str, folder: str, *, option: str) -> Path | Address:
    """Return a folder, looked for as written, then under the data root.

    Args:
        who: Class that needs the folder, for the message.
        folder: As written by the user.
        option: Command-line option of the folder, for the message.

    Raises:
        InputError: If it is at neither place.
    """
    path = place_of(folder)
    places = (path,) if isinstance(path, Address) else dict.fromkeys((path, data_root(None) / path))
    for place in places:
        if place.is_dir():
            return place
    raise InputError(
        f"{who}: {option.rpartition('.')[2]} must be a folder, found none at {' or '.join(map(str, places))}; "
        f"say where with --{option} DIR."
    )
