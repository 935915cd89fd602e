"""Folders of corrupted images in the layout of ImageNet-C."""

import json
import logging
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Int
from torch import Tensor

from withstand.data.base import Part, check_part
from withstand.data.corrupted.cells import Gap, check_test_only, find_gaps, is_wanted, nothing_wanted
from withstand.data.images.class_tree import list_classes, list_images, number_classes, walk_images
from withstand.data.images.file_split import FileSplit, OnBadImage
from withstand.errors import InputError
from withstand.study.measures.condition import CLEAN, CORRUPTIONS, JPEG, SEVERITIES, Cell, Saved

ARCHIVES = ("noise", "blur", "weather", "digital", "extra")  # the published files come in these five
JPEG_SUFFIXES = (".jpg", ".jpeg")
LOSSLESS_SUFFIXES = (".png", ".ppm", ".pgm", ".bmp")

MANIFEST = "manifest.json"  # of trees that `withstand corrupt` wrote

log = logging.getLogger("withstand")


@dataclass(frozen=True, kw_only=True)
class CorruptedTree:
    """Images in `<root>/<corruption>/<severity>/<class>/<file>`, and the selected cells.

    Attributes:
        who: Name of the data set, for messages.
        root: The folder; corruptions may also lie within folders named like the published archives.
        corruption: Select this corruption; None selects all.
        severity: Select this severity; None selects all.
        pixels: Width and height of the inputs.
        class_map: Class numbers by folder name instead of ranks.
        num_classes: Number of classes; None takes it from the map, the manifest or the number of class folders.
        on_bad_image: Handling of files that are damaged or not an image.
        clean: Folder of the class folders of clean images.
        clean_resize: Length of the shorter side of clean images before the centre is cut out.
    """

    who: str
    root: Path
    corruption: str | None
    severity: int | None
    pixels: int
    class_map: str | None
    num_classes: int | None
    on_bad_image: OnBadImage
    clean: Path | None
    clean_resize: int | None

    def load(self, part: Part) -> FileSplit:
        """Return the selected cell.

        Raises:
            InputError: If more are wanted, or files are missing or of two kinds, or a class has no number.
        """
        check_part(self.who, part)
        check_test_only(self.who, part)
        is_clean = self.corruption == CLEAN
        folder, places = self.clean if is_clean else None, self._places()
        if self.corruption is not None and self.severity is not None:
            folder = places.get((self.corruption, self.severity))
            if folder is None:
                wanted = self.root / self.corruption / str(self.severity)
                raise InputError(f"{self.who}: expected folders of images, one per class, in {wanted}, found none.")
        if folder is None:
            raise InputError(
                f"{self.who}: one cell at a time is read; name its corruption (--data.corruption fog) "
                "and its severity (--data.severity 3)."
            )
        found = list_classes(self.who, folder)
        numbers, classes = self._number(folder, found, places.values())
        files, rank = list_images(self.who, folder, found, partial=not is_clean)
        if not files:
            raise InputError(f"{self.who}: expected images in the class folders of {folder}, found none.")
        if not is_clean:
            how_saved(self.who, folder, files)
        return FileSplit(
            self.who,
            folder=folder,
            files=files,
            y=numbers[rank],
            classes=classes,
            pixels=self.pixels,
            resize=self.clean_resize if is_clean else None,
            on_bad_image=self.on_bad_image,
        )

    def _number(
        self, folder: Path, found: tuple[str, ...], places: Iterable[Path]
    ) -> tuple[Int[Tensor, " class"], tuple[str, ...]]:
        """Return the number of each class folder and the names of all classes.

        They come from the map, else the tree's own manifest, else the ranks among the class folders of all cells.
        """
        if self.class_map is None and (self.root / MANIFEST).is_file():
            folders, classes = _read_manifest(self.who, self.root / MANIFEST)
            unknown = [name for name in found if name not in folders]
            if unknown:
                raise InputError(f"{self.who}: class folder {folder / unknown[0]} is not in {self.root / MANIFEST}.")
            if self.num_classes not in (None, len(classes)):
                raise InputError(
                    f"{self.who}: num_classes must be {len(classes):,} as in {self.root / MANIFEST}, "
                    f"got {self.num_classes:,}."
                )
            return torch.tensor([folders[name] for name in found]), classes
        every = found if self.class_map is not None else _classes(places)
        return number_classes(
            self.who,
            folder,
            found,
            reference=every,
            class_map=self.class_map,
            num_classes=self.num_classes,
            origin="any cell of the tree",
        )

    def cells(self) -> dict[str, tuple[str, int | None]]:
        """Return corruption and severity of each selected cell, by its condition; warn of other folders.

        Raises:
            InputError: If no image, or none of the selected ones, is found.
        """
        found: dict[str, tuple[str, int | None]] = {}
        if self.clean is not None and self.corruption in (None, CLEAN):
            list_classes(self.who, self.clean)
            found[CLEAN] = (CLEAN, None)
        if self.corruption == CLEAN:
            return found
        ignored = list(self._ignored())
        if ignored:
            log.warning("%s: no corruption and no severity, not read: %s.", self.who, ", ".join(ignored))
        cells = [cell for cell in self._cells() if is_wanted(cell, self.corruption, self.severity)]
        if not cells:
            raise InputError(nothing_wanted(self.who, self.root, self.corruption, self.severity))
        return found | {cell.condition: (cell.corruption, cell.severity) for cell in cells}

    def missing(self) -> list[Gap]:
        """Return the selected cells that are absent, or have fewer images than the largest cell of the tree."""
        images = {cell: sum(1 for _ in _images(folder)) for cell, folder in self._cells().items()}
        return find_gaps(images, self.corruption, self.severity)

    def _cells(self) -> dict[Cell, Path]:
        """Return the folder of every cell with an image; the first image says how all were saved."""
        found = {}
        for (corruption, severity), folder in self._places().items():
            first = next(_images(folder), None)
            if first is not None:
                found[Cell(corruption, severity, how_saved(self.who, folder, [first]))] = folder
        if not found:
            raise InputError(
                f"{self.who}: expected images in {self.root}/<corruption>/<severity>/<class>/, "
                f"e.g. in {self.root / 'fog' / '3'}, found none; say where with --data.root DIR."
            )
        return found

    def _places(self) -> dict[tuple[str, int], Path]:
        """Return the folder of every cell, in the published order."""
        found: dict[tuple[str, int], Path] = {}
        for corruption in CORRUPTIONS:
            for severity in SEVERITIES:
                below = Path(corruption, str(severity))
                places = [path for path in (self.root / upper / below for upper in ("", *ARCHIVES)) if path.is_dir()]
                if len(places) > 1:
                    raise InputError(f"{self.who}: a cell must be there once, got {places[0]} and {places[1]}.")
                if places:
                    found[corruption, severity] = places[0]
        return found

    def _ignored(self) -> Iterator[str]:
        """Yield folders at the place of a corruption or a severity that are neither."""
        known = [str(each) for each in SEVERITIES]
        clean = None if self.clean is None else self.clean.resolve()
        for upper in (self.root, *(self.root / each for each in ARCHIVES)):
            for name in _folders(upper):
                path = upper / name
                if name in CORRUPTIONS:
                    others = [path / each for each in _folders(path) if each not in known]
                    yield from (str(each.relative_to(self.root)) for each in others)
                elif path.resolve() != clean and not (upper == self.root and name in ARCHIVES):
                    yield str(path.relative_to(self.root))


def _read_manifest(who: str, path: Path) -> tuple[dict[str, int], tuple[str, ...]]:
    """Return class numbers by folder, and the names of all classes, from the manifest of a copy."""
    try:
        content = json.loads(path.read_text())
        folders, classes = dict(content["class_folders"]), tuple(content["classes"])
    except (ValueError, KeyError, TypeError) as problem:
        raise InputError(f"{who}: {path} must be the manifest of `withstand corrupt`, and is not.") from problem
    return folders, classes


def how_saved(who: str, folder: Path, files: Iterable[str]) -> Saved:
    """Return the format of a cell's images, from their suffixes.

    Raises:
        InputError: If some are JPEG files and some are not, or one is neither JPEG nor of a lossless format.
    """
    jpeg, lossless = None, None
    for file in files:
        if file.lower().endswith(JPEG_SUFFIXES):
            jpeg = jpeg or file
        elif file.lower().endswith(LOSSLESS_SUFFIXES):
            lossless = lossless or file
        else:
            raise InputError(
                f"{who}: {folder / file} must be a JPEG or a PNG file, since its compression is part of the condition."
            )
    if jpeg and lossless:
        raise InputError(f"{who}: {folder} must hold files of one kind, got {jpeg} and {lossless}.")
    return JPEG if jpeg else ""


def _images(folder: Path) -> Iterator[str]:
    """Yield the image files of a cell, relative to its folder."""
    return (f"{name}/{file}" for name in _folders(folder) for file in walk_images(folder / name))


def _classes(cells: Iterable[Path]) -> tuple[str, ...]:
    """Return the names of the class folders of all cells."""
    return tuple(sorted({name for folder in cells for name in _folders(folder)}))


def _folders(folder: Path) -> list[str]:
    """Return the names of the folders in a folder, sorted; hidden ones do not count."""
    if not folder.is_dir():
        return []
    with os.scandir(folder) as entries:
        return sorted(entry.name for entry in entries if entry.is_dir() and not entry.name.startswith("."))
