"""Files of a tree that every cell of a copy holds unchanged: masks, annotations and others."""

import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from hashlib import file_digest
from pathlib import Path, PurePosixPath

from withstand.copies.originals import Originals
from withstand.data.images.files_below import as_text


def copy_unchanged(source: Originals, cells: list[Path]) -> Iterator[tuple[str, Path]]:
    """Copy masks and other files into the folder of every cell, and yield checksum and path of each copy.

    The first cell has a copy; the others have hard links to it, or copies where the file system has no links.
    """
    for file in (*source.masks, *source.others):
        first = cells[0] / file
        _place(first, lambda path, file=file: shutil.copyfile(source.folder / file, path))
        digest = digest_of(first)
        yield digest, first
        for cell in cells[1:]:
            _place(cell / file, lambda path, first=first: _link(first, path))
            yield digest, cell / file


def count_masks(source: Originals) -> dict[str, int]:
    """Return the number of masks by folder."""
    return dict(Counter(as_text(str(PurePosixPath(file).parent)) for file in source.masks))


def digest_of(path: Path) -> str:
    """Return the checksum of a file."""
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()


def _place(path: Path, write: Callable[[Path], object]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.tmp")
    temporary.unlink(missing_ok=True)
    write(temporary)
    temporary.replace(path)


def _link(first: Path, path: Path) -> None:
    try:
        os.link(first, path)
    except OSError:
        shutil.copyfile(first, path)
