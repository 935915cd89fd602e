"""CellsInFolders: corrupted images in the folder layout of ImageNet-C."""

import logging
import re
from abc import abstractmethod
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from withstand.conditions import C_BAR, CLEAN, CORRUPTIONS, JPEG, SEVERITIES, Cell, Saved, severities_of
from withstand.data.base import Dataset, Part
from withstand.data.corrupted.base import CorruptedDataset
from withstand.data.corrupted.cells import Gap, find_gaps
from withstand.data.images.class_folders import ClassFolders
from withstand.data.images.decoding import Alpha, Depth, Orientation
from withstand.data.images.file_split import FileSplit, OnBadImage
from withstand.data.images.files_below import JPEG_SUFFIXES, LOSSLESS_SUFFIXES, has_folder, subfolders, walk_images
from withstand.errors import InputError
from withstand.reading.addresses import Address
from withstand.reading.places import place_of

LEVEL = re.compile(r"\d+\.\d\d")  # name of a folder of one severity of ImageNet-C-bar
ARCHIVES = ("noise", "blur", "weather", "digital", "extra")  # folders in the published archives

log = logging.getLogger("withstand")


@dataclass(frozen=True, kw_only=True)
class CellsInFolders(CorruptedDataset):
    """Images in `<root>/<corruption>/<severity>/<class>/<file>`, also below a folder named like a published archive.

    Of corruptions of C-bar, the folders of the five severities may be called by their levels, as published: `2.35`.
    """

    orientation: Orientation = "apply"
    depth: Depth = 8
    alpha: Alpha = "white"
    on_bad_image: OnBadImage = "error"
    clean: str | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        self._reader(is_clean=self.clean is not None)

    def _check_cell(self) -> None:
        if self.corruption != CLEAN or self.clean is None or self.severity is not None:
            super()._check_cell()

    def load(self, part: Part) -> FileSplit:
        """List the files of the selected cell; they are decoded when fetched."""
        if part == "test" and self.corruption == CLEAN and self.clean is not None:
            return self._read(place_of(self.clean), is_clean=True)
        split = super().load(part)
        assert isinstance(split, FileSplit)
        return split

    def cells(self) -> dict[str, Dataset]:
        """Return the selected cells by condition; warn about other folders."""
        found: dict[str, Dataset] = {}
        if self.clean is not None and self.corruption in (None, CLEAN):
            self._reader(is_clean=True).folders(place_of(self.clean))
            found[CLEAN] = replace(self, corruption=CLEAN, severity=None)
        if self.corruption == CLEAN:
            return found
        ignored = ", ".join(self._list_ignored())
        if ignored:
            log.warning("%s: no corruption and no severity, not read: %s.", self.who, ignored)
        return found | super().cells()

    def _select(self, cell: Cell) -> Dataset:
        return replace(self, corruption=cell.corruption, severity=cell.severity, clean=None)

    def missing(self) -> list[Gap]:
        """Return the selected cells that are absent or have fewer images than the largest cell."""
        places = self._places()
        images = {cell: _count(places[cell[:2]]) for cell in self._list_cells()}
        return find_gaps(images, self.corruption, self.severity)

    @abstractmethod
    def _reader(self, *, is_clean: bool) -> ClassFolders:
        """Return the reader of a cell's class folders."""

    def _numbered(self, reader: ClassFolders) -> ClassFolders:
        """Return the reader with the class map that the folder itself has; by default, there is none."""
        return reader

    def _load_cell(self, corruption: str, severity: int) -> FileSplit:
        folder = self._places().get((corruption, severity))
        if folder is None:
            wanted = self._folder() / corruption / str(severity)
            raise InputError(f"{self.who}: expected folders of images, one per class, in {wanted}, found none.")
        split = self._read(folder, is_clean=False)
        self._check_format(folder, split.files)
        return split

    def _read(self, folder: Path | Address, *, is_clean: bool) -> FileSplit:
        # Ranks are taken among the class folders of all cells, so that a class has one number in all of them.
        return self._numbered(self._reader(is_clean=is_clean)).read(
            folder,
            ranked=tuple(self._places().values()),
            origin=f"any cell of {self._folder()}",
        )

    def _list_cells(self) -> list[Cell]:
        # A cell has at least one image; the first one tells the format of all.
        first = [(*each, next(_walk(each[1]), None)) for each in self._places().items()]
        found = [Cell(*place, self._check_format(folder, [file])) for place, folder, file in first if file]
        if not found:
            root = self._folder()
            raise InputError(
                f"{self.who}: expected images in {root}/<corruption>/<severity>/<class>/, "
                f"e.g. in {root / 'fog' / '3'}, found none; say where with --data.root DIR."
            )
        return found

    def _places(self) -> dict[tuple[str, int], Path | Address]:
        """Return the folder of every cell, in the published order."""
        found: dict[tuple[str, int], Path | Address] = {}
        root = self._folder()
        uppers = [root, *(root / each for each in ARCHIVES if has_folder(root, each))]
        for corruption in CORRUPTIONS:
            parents = [each / corruption for each in uppers if has_folder(each, corruption)]
            named = [(each, _levels(each) if corruption in C_BAR else []) for each in parents]
            for severity in severities_of(corruption):
                places = [parent / str(severity) for parent, _ in named if has_folder(parent, str(severity))]
                places += [parent / levels[severity - 1] for parent, levels in named if levels]
                if len(places) > 1:
                    raise InputError(f"{self.who}: a cell must have one folder, got {places[0]} and {places[1]}.")
                if places:
                    found[corruption, severity] = places[0]
        return found

    def _list_ignored(self) -> Iterator[str]:
        """Yield folders in the place of a corruption or a severity that are neither."""
        root, clean = self._folder(), None if self.clean is None else place_of(self.clean).resolve()
        for archive in ("", *ARCHIVES):
            upper, prefix = (root / archive, f"{archive}/") if archive else (root, "")
            for name in subfolders(upper):
                path = upper / name
                if name in CORRUPTIONS:
                    known = [*map(str, severities_of(name))] + (_levels(path) if name in C_BAR else [])
                    yield from (f"{prefix}{name}/{each}" for each in subfolders(path) if each not in known)
                elif path.resolve() != clean and not (not archive and name in ARCHIVES):
                    yield prefix + name

    def _check_format(self, folder: Path | Address, files: Iterable[str]) -> Saved:
        """Return the format of a cell's images by their suffixes; all must be JPEG files, or none."""
        jpeg, lossless = None, None
        for file in files:
            if file.lower().endswith(JPEG_SUFFIXES):
                jpeg = jpeg or file
            elif file.lower().endswith(LOSSLESS_SUFFIXES):
                lossless = lossless or file
            else:
                raise InputError(
                    f"{self.who}: {folder / file} must be a JPEG or a PNG file, since its compression is part of the "
                    "condition."
                )
        if jpeg and lossless:
            raise InputError(f"{self.who}: {folder} must hold files of one kind, got {jpeg} and {lossless}.")
        return JPEG if jpeg else ""


def _levels(folder: Path | Address) -> list[str]:
    """Return the folders of the severities from 1 to 5, where they are called by levels such as 2.35; all or none."""
    found = sorted(filter(LEVEL.fullmatch, subfolders(folder)), key=float)
    return found if len(found) == len(SEVERITIES) else []


def _walk(folder: Path | Address) -> Iterator[str]:
    """Yield the image files of a cell, relative to its folder."""
    return (f"{name}/{file}" for name in subfolders(folder) for file in walk_images(folder / name))


def _count(folder: Path | Address) -> int:
    """Return the number of image files of a cell."""
    if isinstance(folder, Address):  # one listing of all class folders
        return sum("/" in each for each in walk_images(folder))
    return sum(1 for _ in _walk(folder))
