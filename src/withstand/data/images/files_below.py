"""Files below a folder: image formats by suffix, walks that follow links without loops, and listings of addresses."""

import os
from collections.abc import Collection, Iterator
from pathlib import Path

from withstand.errors import InputError
from withstand.reading.addresses import Address

JPEG_SUFFIXES = (".jpg", ".jpeg", ".jfif")
LOSSLESS_SUFFIXES = (".png", ".ppm", ".pgm", ".bmp")
SUFFIXES = (*JPEG_SUFFIXES, *LOSSLESS_SUFFIXES, ".tif", ".tiff", ".webp", ".gif")

Inode = tuple[int, int]  # of a folder: it has one, whatever links lead to it


def walk_files(folder: Path | Address) -> Iterator[str]:
    """Yield the paths of the files below a folder, relative to it, unsorted.

    Hidden files and folders, pipes, sockets and devices are skipped. Links are followed, but every folder is read once,
    and none of those that contain `folder`.

    Raises:
        InputError: If a folder cannot be read.
    """
    if isinstance(folder, Address):
        yield from folder.files()
        return
    seen, folders, links = set(_inodes_above(folder)), [""], list[str]()
    while folders or links:
        # Links come last, so that files have the paths without links.
        place = folders.pop() if folders else links.pop(0)
        if (inode := _inode(folder / place)) in seen and place:
            continue
        seen.add(inode)
        prefix = f"{place}/" if place else ""
        found: list[str] = []
        for entry in _scan(folder / place):
            if _is_folder(entry):
                (found if entry.is_symlink() else folders).append(prefix + entry.name)
            elif _is_file(entry):
                yield prefix + entry.name
        links += sorted(found)


def walk_images(folder: Path | Address) -> Iterator[str]:
    """Yield the paths of the image files below a folder, as `walk_files` does."""
    return (path for path in walk_files(folder) if is_image(path))


def is_image(path: str) -> bool:
    """Return whether a file is an image, by its suffix.

    Example:
        >>> is_image("cat/IMG_1.JPG"), is_image("labels.json")
        (True, False)
    """
    return path.lower().endswith(SUFFIXES)


def subfolders(folder: Path | Address) -> list[str]:
    """Return the names of the visible folders in a folder, sorted; none if it does not exist.

    Links to a folder above, or to another one of these, are left out.
    """
    if isinstance(folder, Address):
        return sorted(name for name, is_folder in folder.entries().items() if is_folder)
    if not folder.is_dir():
        return []
    found = [entry for entry in _scan(folder) if _is_folder(entry)]
    seen, names = set(_inodes_above(folder)), list[str]()
    for entry in sorted(found, key=lambda each: (each.is_symlink(), each.name)):
        if (inode := _inode(folder / entry.name)) not in seen:
            seen.add(inode)
            names.append(entry.name)
    return sorted(names)


def folders_with_images(folder: Path | Address, known: Collection[str] = ()) -> list[str]:
    """Return the names of the folders in a folder that hold an image, or are known."""
    if isinstance(folder, Address):  # one listing of all folders
        return sorted({each.partition("/")[0] for each in walk_images(folder) if "/" in each})
    return [name for name in subfolders(folder) if name in known or next(walk_images(folder / name), None) is not None]


def has_folder(folder: Path | Address, name: str) -> bool:
    """Return whether a folder holds another one; many questions about an address are one listing."""
    return folder.entries().get(name, False) if isinstance(folder, Address) else (folder / name).is_dir()


def files_in(folder: Path | Address) -> list[str]:
    """Return the names of the visible files in a folder itself."""
    if isinstance(folder, Address):
        return [name for name, is_folder in folder.entries().items() if not is_folder]
    return [entry.name for entry in _scan(folder) if not _is_folder(entry) and _is_file(entry)]


def as_text(name: str) -> str:
    r"""Return a file name as valid Unicode for tables, with other bytes escaped.

    Example:
        >>> as_text("caf\udce9.png")
        'caf\\xe9.png'
    """
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def _scan(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return [entry for entry in entries if not entry.name.startswith(".")]
    except OSError as error:
        raise InputError(f"data: the folder {folder} cannot be read ({error.strerror}).") from error


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a loop of links
        return False


def _is_file(entry: os.DirEntry[str]) -> bool:
    try:
        # A link to nowhere is a file that cannot be read, which is reported later.
        return entry.is_file() or (entry.is_symlink() and not Path(entry.path).exists())
    except OSError:  # a loop of links
        return False


def _inodes_above(folder: Path) -> Iterator[Inode]:
    resolved = folder.resolve()
    return (_inode(each) for each in (resolved, *resolved.parents))


def _inode(folder: Path) -> Inode:
    status = folder.stat()
    return status.st_dev, status.st_ino
