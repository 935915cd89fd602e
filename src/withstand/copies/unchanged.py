"""Files of a tree that every cell of a copy holds unchanged: masks, annotations and others."""

import os
import shutil
from collections import Counter
from collections.abc import Iterator
from hashlib import file_digest
from pathlib import Path, PurePosixPath

from withstand.copies.layout import placed
from withstand.copies.originals import Originals
from withstand.data.images.files_below import as_text
from withstand.errors import stop_if_asked
from withstand.reading.addresses import BUFFER, Address


def copy_unchanged(source: Originals, folder: Path, cells: list[str]) -> Iterator[tuple[str, str]]:
    """Copy masks and other files into every cell of a copy, and yield checksum and path in the folder of each.

    The first cell has a copy; the others have hard links to it, or copies where the file system has no links.
    """
    for file in (*source.masks, *source.others):
        stop_if_asked()
        first = folder / cells[0] / file
        with placed(folder, first) as temporary:
            _copy(source.folder / file, temporary)
        digest = digest_of(first)
        yield digest, f"{cells[0]}/{file}"
        for cell in cells[1:]:
            with placed(folder, folder / cell / file) as temporary:
                _link(first, temporary)
            yield digest, f"{cell}/{file}"


def count_masks(source: Originals) -> dict[str, int]:
    """Return the number of masks by folder."""
    return dict(Counter(as_text(str(PurePosixPath(file).parent)) for file in source.masks))


def digest_of(path: Path) -> str:
    """Return the checksum of a file."""
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()


def _copy(source: Path | Address, path: Path) -> None:
    if isinstance(source, Path):
        shutil.copyfile(source, path)
        return
    with source.open("rb") as file, path.open("wb") as copy:
        shutil.copyfileobj(file, copy, BUFFER)


def _link(first: Path, path: Path) -> None:
    try:
        os.link(first, path)
    except OSError:
        shutil.copyfile(first, path)
