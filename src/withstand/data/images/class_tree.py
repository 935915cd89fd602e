"""Folders with one folder of images per class."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from jaxtyping import Int
from torch import Tensor

from withstand.data.images.class_map import ClassMap
from withstand.errors import InputError

# Image formats of torchvision's ImageFolder that Pillow reads.
SUFFIXES = (".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp")


def list_classes(who: str, folder: Path) -> tuple[str, ...]:
    """Return the names of the class folders, sorted; hidden ones do not count.

    Args:
        who: Name of the data set, for messages.
        folder: Parent of the class folders.

    Raises:
        InputError: If the folder is missing, empty, or holds files only.
    """
    if not folder.is_dir():
        raise InputError(f"{who}: expected a folder with one folder of images per class at {folder}, found none.")
    with os.scandir(folder) as entries:
        visible = [entry for entry in entries if not entry.name.startswith(".")]
    names = tuple(sorted(entry.name for entry in visible if entry.is_dir()))
    if not names:
        found = f"only files ({len(visible):,})" if visible else "nothing"
        raise InputError(f"{who}: expected one folder of images per class in {folder}, found {found}.")
    return names


def list_images(
    who: str, folder: Path, classes: Sequence[str], *, partial: bool = False
) -> tuple[list[str], Int[Tensor, " file"]]:
    """Return the image files of the class folders, sorted, and for each the rank of its class folder.

    Args:
        who: Name of the data set, for messages.
        folder: Parent of the class folders.
        classes: Names of the class folders.
        partial: Whether class folders may be empty.

    Returns:
        Paths relative to the folder, those in deeper folders included; and one rank per path.

    Raises:
        InputError: If a class folder holds no image file, unless `partial`.
    """
    files: list[str] = []
    counts = []
    for name in classes:
        found = sorted(walk_images(folder / name))
        if not found and not partial:
            raise InputError(f"{who}: class folder {folder / name} holds no image file ({', '.join(SUFFIXES)}).")
        files += [f"{name}/{file}" for file in found]
        counts.append(len(found))
    return files, torch.arange(len(classes)).repeat_interleave(torch.tensor(counts))


def number_classes(
    who: str,
    folder: Path,
    found: Sequence[str],
    *,
    reference: Sequence[str],
    class_map: str | None,
    num_classes: int | None = None,
    origin: str = "the training folder",
) -> tuple[Int[Tensor, " class"], tuple[str, ...]]:
    """Return the number of each class folder and the names of all classes.

    Args:
        who: Name of the data set, for messages.
        folder: Parent of the class folders.
        found: Names of the class folders in it.
        reference: Names of the class folders whose ranks are the numbers without a map.
        class_map: A map from folder names to numbers instead; a file or the word `imagenet`.
        num_classes: Number of classes; None takes it from the map or the number of folders.
        origin: Where these folders are, for the message.

    Raises:
        InputError: If a class folder has no number, or there would be only one class or another number of them.
    """
    if class_map is not None:
        mapped = ClassMap.read(who, class_map, num_classes=num_classes)
        numbers, names, source = mapped.numbers, mapped.names, f"the class map {class_map}"
    else:
        names, source = tuple(reference), origin
        numbers = {name: rank for rank, name in enumerate(reference)}
    for name in found:
        if name not in numbers:
            raise InputError(f"{who}: class folder {folder / name} does not occur in {source}.")
    if len(names) < 2:
        raise InputError(
            f"{who}: expected at least two class folders in {folder}, got only {found[0]!r}; "
            "with a class_map one is enough."
        )
    if num_classes not in (None, len(names)):
        raise InputError(
            f"{who}: expected {num_classes:,} class folders in {origin}, got {len(names):,}; "
            "a class_map gives numbers to fewer."
        )
    return torch.tensor([numbers[name] for name in found]), names


def walk_images(folder: Path) -> Iterator[str]:
    """Yield the paths of the image files below a folder, relative to it, in no order."""
    for place, _, names in os.walk(folder, followlinks=True):
        below = os.path.relpath(place, folder)
        prefix = "" if below == "." else f"{below}/"
        yield from (prefix + name for name in names if name.lower().endswith(SUFFIXES) and not name.startswith("."))
