"""ImageTree: image files in any folders, for copies."""

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from withstand.copies.masks import AUTO, NONE, is_mask
from withstand.data.base import Dataset, Part
from withstand.data.images.decoding import Alpha, Decoding, Depth, Orientation
from withstand.data.images.file_split import FileSplit, OnBadImage
from withstand.data.images.files_below import as_text, is_image, walk_files
from withstand.errors import InputError, brief
from withstand.limits import PositiveInt
from withstand.reading.addresses import Address
from withstand.reading.places import place_of


class Listing(NamedTuple):
    """The files of a tree, relative to its folder, sorted by their first folder and path.

    Attributes:
        images: Images to corrupt.
        masks: Images whose pixels are labels.
        others: All other files.
    """

    images: list[str]
    masks: list[str]
    others: list[str]


@dataclass(frozen=True, kw_only=True)
class ImageTree(Dataset):
    """Image files in any folders, with or without class folders, or a single image.

    Attributes:
        path: The folder or the image.
        pixels: Width and height of the central crop; None keeps images whole, and the copy keeps all other files.
        resize: Length of the shorter side before the crop; None does not resize.
        masks: See `is_mask`; used if images are kept whole.
        orientation: See Decoding.
        depth: See Decoding.
        alpha: See Decoding.
        on_bad_image: `error` stops at a file that is damaged or not an image; `skip` leaves it out.
    """

    path: str
    pixels: PositiveInt | None = None
    resize: PositiveInt | None = None
    masks: tuple[str, ...] = (AUTO,)
    orientation: Orientation = "apply"
    depth: Depth = 8
    alpha: Alpha = "white"
    on_bad_image: OnBadImage = "error"

    @property
    def folder(self) -> Path | Address:
        """Base of the paths."""
        path = place_of(self.path)
        return path if path.is_dir() else path.parent

    @property
    def decoding(self) -> Decoding:
        """How pixels become RGB."""
        return Decoding(orientation=self.orientation, depth=self.depth, alpha=self.alpha)

    def listing(self) -> Listing:
        """List the files."""
        path, found = place_of(self.path), Listing([], [], [])
        if not path.is_dir():
            return Listing([path.name], [], [])
        for file in sorted(walk_files(path), key=_place):
            if not is_image(file):
                found.others.append(file)
            elif self.pixels is None and is_mask(path, file, self.masks, depth=self.depth):
                found.masks.append(file)
            else:
                found.images.append(file)
        for pattern in self.masks if self.pixels is None else ():
            is_own = pattern not in (AUTO, NONE)
            if is_own and not any(is_mask(path, file, (pattern,), depth=self.depth) for file in found.masks):
                raise InputError(f"corrupt: masks: expected names of folders or images, none matches {brief(pattern)}.")
        return found

    def load(self, part: Part) -> FileSplit:
        """List the images, to be cropped."""
        assert self.pixels is not None
        files = self.listing().images
        classes, y = classes_of(files)
        return FileSplit(
            "corrupt",
            folder=self.folder,
            files=files,
            y=y,
            classes=classes,
            pixels=self.pixels,
            resize=self.resize,
            decoding=self.decoding,
            on_bad_image=self.on_bad_image,
        )


def classes_of(files: list[str]) -> tuple[tuple[str, ...], Tensor]:
    """Return the names of the first folders as classes, and the class of each file; files in no folder get class 0.

    Example:
        >>> classes_of(["cat/1.jpg", "dog/puppies/2.jpg"])
        (('cat', 'dog'), tensor([0, 1]))
    """
    tops = [_place(file)[0] for file in files]
    numbers = {name: number for number, name in enumerate(sorted(set(tops) - {""}))}
    y = torch.tensor([numbers.get(top, 0) for top in tops], dtype=torch.int64)
    return tuple(map(as_text, numbers)) or ("image",), y


def _place(file: str) -> tuple[str, str]:
    """Return first folder and path in it; files in no folder come first."""
    top, slash, rest = file.partition("/")
    return (top, rest) if slash else ("", file)
