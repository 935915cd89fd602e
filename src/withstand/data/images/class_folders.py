"""ClassFolders: reader of a folder with one folder of images per class."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import torch

from withstand.data.base import Dataset, Part, cut
from withstand.data.images.class_map import ClassMap
from withstand.data.images.file_split import FileSplit, OnBadImage
from withstand.data.images.image_file import SUFFIXES, walk_images
from withstand.errors import InputError


@dataclass(frozen=True, kw_only=True)
class ClassFolders:
    """Reads folders of images, one per class.

    Attributes:
        who: Name of the data set, for messages.
        pixels: Width and height of the inputs.
        resize: Length of the shorter side before the centre crop; None does not resize.
        class_map: Class numbers by folder name, see ImageFolder; None numbers the folders by rank.
        num_classes: Number of classes; None takes it from the class map or the number of folders.
        on_bad_image: `error` stops at an unreadable file; `skip` leaves it out.
    """

    who: str
    pixels: int
    resize: int | None
    class_map: str | None = None
    num_classes: int | None = None
    on_bad_image: OnBadImage = "error"

    def __post_init__(self) -> None:
        if self.resize is not None and self.resize < self.pixels:
            raise InputError(f"{self.who}: resize must be at least pixels ({self.pixels}), got {self.resize}.")

    @classmethod
    def of(cls, data: Dataset, **others: Any) -> "ClassFolders":
        """Return the reader with the fields that a data set has, and others."""
        own = {each.name: getattr(data, each.name) for each in fields(cls) if hasattr(data, each.name)}
        return cls(**{"who": type(data).__name__, **own, **others})

    def read(
        self,
        folder: Path,
        *,
        ranked: Sequence[Path],
        part: Part = "test",
        validation: float | None = None,
        origin: str | None = None,
        allow_empty: bool = False,
    ) -> FileSplit:
        """List the images of a folder, sorted by class folder and path.

        Args:
            folder: Parent of the class folders.
            ranked: Folders whose class folders are ranked to number the classes, if there is no class map.
            part: The part to return.
            validation: Share for validation, if that part is cut from this folder.
            origin: Name of `ranked` in messages; None takes the first of them.
            allow_empty: Whether class folders may have no images.

        Raises:
            InputError: If folders are missing or empty, or a class has no number.
        """
        names, classes = self.folders(folder), self._number(ranked, origin)
        unknown = next((name for name in names if name not in classes.numbers), None)
        if unknown is not None:
            raise InputError(f"{self.who}: class folder {folder / unknown} does not occur in {classes.origin}.")
        images = [sorted(walk_images(folder / name)) for name in names]
        if [] in images and not allow_empty:
            empty = folder / names[images.index([])]
            raise InputError(f"{self.who}: class folder {empty} holds no image file ({', '.join(SUFFIXES)}).")
        files = [f"{name}/{file}" for name, own in zip(names, images, strict=True) for file in own]
        if not files:
            raise InputError(f"{self.who}: expected images in the class folders of {folder}, found none.")
        rank = torch.arange(len(names)).repeat_interleave(torch.tensor([len(own) for own in images]))
        split = FileSplit(
            self.who,
            folder=folder,
            files=files,
            y=torch.tensor([classes.numbers[name] for name in names])[rank],
            classes=classes.names,
            pixels=self.pixels,
            resize=self.resize,
            on_bad_image=self.on_bad_image,
        )
        if part == "test" or validation is None:
            return split
        # Cut by folder, not by class: a class may have several folders.
        return split.select(cut(rank, validation=validation)[part])

    def folders(self, folder: Path) -> list[str]:
        """Return the names of the class folders, sorted; hidden folders are skipped.

        Raises:
            InputError: If the folder is missing, empty, or holds files only.
        """
        if not folder.is_dir():
            raise InputError(
                f"{self.who}: expected a folder with one folder of images per class at {folder}, found none."
            )
        names = subfolders(folder)
        if not names:
            visible = sum(not each.name.startswith(".") for each in folder.iterdir())
            found = f"only files ({visible:,})" if visible else "nothing"
            raise InputError(f"{self.who}: expected one folder of images per class in {folder}, found {found}.")
        return names

    def _number(self, ranked: Sequence[Path], origin: str | None) -> ClassMap:
        if self.class_map is not None:
            classes = ClassMap.read(self.who, self.class_map, num_classes=self.num_classes)
        else:
            names = sorted({name for folder in ranked for name in subfolders(folder)})
            numbers = {name: rank for rank, name in enumerate(names)}
            classes = ClassMap(numbers=numbers, names=tuple(names), origin=origin or str(ranked[0]))
        names = classes.names
        if len(names) < 2:
            raise InputError(
                f"{self.who}: expected at least two class folders in {classes.origin}, got only {', '.join(names)!r}; "
                "with a class_map one is enough."
            )
        if self.num_classes not in (None, len(names)):
            raise InputError(
                f"{self.who}: expected {self.num_classes:,} class folders in {classes.origin}, got {len(names):,}; "
                "a class_map allows fewer."
            )
        return classes


def subfolders(folder: Path) -> list[str]:
    """Return the names of the visible folders in a folder, sorted; none if it does not exist."""
    if not folder.is_dir():
        return []
    with os.scandir(folder) as entries:
        return sorted(entry.name for entry in entries if entry.is_dir() and not entry.name.startswith("."))
