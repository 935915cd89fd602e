"""Listings of folders in object stores, used again for a minute, and the paths that they may hold."""

import time
from collections.abc import Callable
from typing import Any

from withstand.errors import InputError, brief

SECONDS = 60.0

_listings: dict[tuple[str, str], tuple[float, Any]] = {}  # by kind and address: when it was made, and the listing


def remember(kind: str, text: str, make: Callable[[], Any]) -> Any:
    """Return a listing: the one made in the last minute, or else a new one.

    Args:
        kind: What is listed.
        text: Address of the folder.
        make: Makes the listing.
    """
    now = time.monotonic()
    for key in [key for key, (made, _) in tuple(_listings.items()) if now - made > SECONDS]:
        _listings.pop(key, None)
    found = _listings.get((kind, text))
    if found is None:
        found = _listings[kind, text] = now, make()
    return found[1]


def forget() -> None:
    """Make every listing again when it is next asked for, such as after files were written."""
    _listings.clear()


def check_below(who: str, path: str) -> None:
    """Reject the path of a file that has empty parts or leads out of its folder.

    Raises:
        InputError: If it does.

    Example:
        >>> check_below("shard.tar", "../a.jpg")
        Traceback (most recent call last):
        withstand.errors.InputError: shard.tar must hold files below its folder, got the path '../a.jpg'.
    """
    if any(each in ("", ".", "..") for each in path.split("/")) or "\0" in path:
        raise InputError(f"{who} must hold files below its folder, got the path {brief(path)!r}.")


def is_visible(path: str) -> bool:
    """Return whether no part of a path begins with a point; `.` and `..` do not count.

    Example:
        >>> is_visible("cat/1.jpg"), is_visible("cat/.cache/1.jpg")
        (True, False)
    """
    return bool(path) and not any(each.startswith(".") and each not in (".", "..") for each in path.split("/"))
