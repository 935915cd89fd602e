"""ClassFolders: reader of a folder with one folder of images per class."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import torch

from withstand.data.base import Dataset, Part, cut
from withstand.data.images.class_map import ClassMap
from withstand.data.images.decoding import Alpha, Decoding, Depth, Orientation
from withstand.data.images.file_split import FileSplit, OnBadImage
from withstand.data.images.files_below import (
    SUFFIXES,
    as_text,
    files_in,
    folders_with_images,
    is_image,
    subfolders,
    walk_files,
)
from withstand.errors import InputError
from withstand.reading.addresses import Address

PARTS = ("train", "training", "val", "valid", "validation", "test", "testing")


@dataclass(frozen=True, kw_only=True)
class ClassFolders:
    """Reads folders of images, one per class.

    Attributes:
        who: Name of the data set, for messages.
        pixels: Width and height of the inputs.
        resize: Length of the shorter side before the centre crop; None does not resize.
        class_map: Class numbers by folder name, see ImageFolder; None numbers the folders by rank.
        num_classes: Number of classes; None takes it from the class map or the number of folders.
        orientation: See Decoding.
        depth: See Decoding.
        alpha: See Decoding.
        on_bad_image: `error` stops at an unreadable file; `skip` leaves it out.
        offers_map: Whether the data set has a field `class_map`, which messages may recommend.
    """

    who: str
    pixels: int
    resize: int | None
    class_map: str | None = None
    num_classes: int | None = None
    orientation: Orientation = "apply"
    depth: Depth = 8
    alpha: Alpha = "white"
    on_bad_image: OnBadImage = "error"
    offers_map: bool = False

    def __post_init__(self) -> None:
        if self.resize is not None and self.resize < self.pixels:
            raise InputError(f"{self.who}: resize must be at least pixels ({self.pixels}), got {self.resize}.")

    @classmethod
    def of(cls, data: Dataset, **others: Any) -> "ClassFolders":
        """Return the reader with the fields that a data set has, and others."""
        own = {each.name: getattr(data, each.name) for each in fields(cls) if hasattr(data, each.name)}
        offered = {"who": type(data).__name__, "offers_map": hasattr(data, "class_map")}
        return cls(**{**offered, **own, **others})

    def read(
        self,
        folder: Path | Address,
        *,
        ranked: Sequence[Path | Address],
        part: Part = "test",
        validation: float | None = None,
        origin: str | None = None,
    ) -> FileSplit:
        """List the images of a folder, sorted by class folder and path; class folders without images are left out.

        Args:
            folder: Parent of the class folders.
            ranked: Folders whose class folders are ranked to number the classes, if there is no class map.
            part: The part to return.
            validation: Share for validation, if that part is cut from this folder.
            origin: Name of `ranked` in messages; None takes the first of them.

        Raises:
            InputError: If folders are missing or empty, or a class has no number.
        """
        self.folders(folder)
        files = list(walk_files(folder))
        found = sorted(file.partition("/")[::2] for file in files if "/" in file and is_image(file))
        names, classes = sorted({name for name, _ in found}), self._number(ranked, origin)
        unknown = next((name for name in names if name not in classes.numbers), None)
        if unknown is not None:
            raise InputError(f"{self.who}: class folder {folder / unknown} does not occur in {classes.origin}.")
        rank = {name: number for number, name in enumerate(names)}
        ranks = torch.tensor([rank[name] for name, _ in found])
        split = FileSplit(
            self.who,
            folder=folder,
            files=[f"{name}/{file}" for name, file in found],
            y=torch.tensor([classes.numbers[name] for name in names])[ranks],
            classes=classes.names,
            pixels=self.pixels,
            resize=self.resize,
            decoding=Decoding(orientation=self.orientation, depth=self.depth, alpha=self.alpha),
            on_bad_image=self.on_bad_image,
            notes=self._notes(folder, files, names),
        )
        if part == "test" or validation is None:
            return split
        # Cut by folder, not by class: a class may have several folders.
        return split.select(cut(ranks, validation=validation)[part])

    def _notes(self, folder: Path | Address, files: Sequence[str], names: Sequence[str]) -> tuple[str, ...]:
        """Return a sentence for each kind of files and folders that are left out."""
        counts = {
            "images beside the class folders": sum(is_image(each) for each in files if "/" not in each),
            "files without a known image extension": sum(not is_image(each) for each in files if "/" in each),
            "class folders without images": len(set(subfolders(folder)) - set(names)),
        }
        return tuple(
            f"{self.who}: left out in {as_text(str(folder))}: {count:,} {what}."
            for what, count in counts.items()
            if count
        )

    def folders(self, folder: Path | Address) -> list[str]:
        """Return the names of the class folders with images, sorted; hidden folders are skipped.

        Raises:
            InputError: If the folder is missing, empty, or holds no class folder with images.
        """
        if not folder.is_dir():
            raise InputError(
                f"{self.who}: expected a folder with one folder of images per class at {folder}, found none."
            )
        if names := folders_with_images(folder):
            return names
        if subfolders(folder):
            raise InputError(
                f"{self.who}: expected images in the class folders of {folder}, found none ({', '.join(SUFFIXES)})."
            )
        visible = len(files_in(folder))
        found = f"only files ({visible:,})" if visible else "nothing"
        raise InputError(f"{self.who}: expected one folder of images per class in {folder}, found {found}.")

    def _number(self, ranked: Sequence[Path | Address], origin: str | None) -> ClassMap:
        if self.class_map is not None:
            classes = ClassMap.read(self.who, self.class_map, num_classes=self.num_classes)
        else:
            found: set[str] = set()
            for folder in ranked:
                found.update(folders_with_images(folder, known=found))
            names = sorted(found)
            numbers = {name: rank for rank, name in enumerate(names)}
            classes = ClassMap(numbers=numbers, names=tuple(map(as_text, names)), origin=origin or str(ranked[0]))
        names = classes.names
        if len(names) < 2:
            raise InputError(
                f"{self.who}: expected at least two class folders in {classes.origin}, got only {', '.join(names)!r}"
                + ("; with a class_map one is enough." if self.offers_map and self.class_map is None else ".")
            )
        if self.num_classes not in (None, len(names)):
            raise InputError(
                f"{self.who}: expected {self.num_classes:,} class folders in {classes.origin}, got {len(names):,}"
                + ("; a class_map allows fewer." if self.offers_map and self.class_map is None else ".")
            )
        return classes


def usual_parts(root: Path | Address) -> list[str]:
    """Return the folders in a root that have usual names of parts, in any case: training first, then validation."""
    found = [each for each in subfolders(root) if each.lower() in PARTS]
    return sorted(found, key=lambda each: PARTS.index(each.lower()))
