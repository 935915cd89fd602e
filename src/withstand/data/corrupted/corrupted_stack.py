"""Arrays of corrupted images in the layout of CIFAR-10-C."""

import json
import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from withstand.data.base import Part, check_part
from withstand.data.corrupted.cells import Gap, check_test_only, find_gaps, is_wanted, nothing_wanted
from withstand.data.images.array_split import ArraySplit
from withstand.data.images.class_map import MAX_CLASSES
from withstand.errors import InputError
from withstand.study.measures.condition import CORRUPTIONS, SEVERITIES, Cell

LABELS, CLASSES = "labels.npy", "classes.json"

log = logging.getLogger("withstand")


@dataclass(frozen=True, kw_only=True)
class CorruptedStack:
    """Arrays `<folder>/<corruption>.npy` that hold all severities one after the other, and the selected cells.

    Attributes:
        who: Name of the data set, for messages.
        folder: Of the arrays, uint8 (5 n, height, width, channels), and `labels.npy`, 5 n or n whole numbers.
        corruption: Select this corruption; None selects all.
        severity: Select this severity; None selects all.
        classes: Names of the classes; None takes those in `classes.json` next to the arrays, a list, and without that
            file the numbers.
        num_classes: How many there must be; None takes the names, and without them the largest label + 1.
    """

    who: str
    folder: Path
    corruption: str | None
    severity: int | None
    classes: tuple[str, ...] | None
    num_classes: int | None = None

    def load(self, part: Part) -> ArraySplit:
        """Return the selected cell.

        Raises:
            InputError: If more are wanted, or files are missing or do not fit each other.
        """
        check_part(self.who, part)
        check_test_only(self.who, part)
        if self.corruption is None or self.severity is None:
            raise InputError(
                f"{self.who}: one cell at a time is read; name its corruption (--data.corruption fog) "
                "and its severity (--data.severity 3)."
            )
        path = self.folder / f"{self.corruption}.npy"
        labels, images = self._labels(), self._images(path)
        count = len(images) // len(SEVERITIES)
        self._check_count(path, images, len(labels))
        start = (self.severity - 1) * count
        classes = self._classes(labels)
        y = labels[start : start + count] if len(labels) > count else labels
        y = torch.from_numpy(y.astype(np.int64))
        return ArraySplit(images[start : start + count], y, classes=classes)

    def cells(self) -> dict[str, Cell]:
        """Return the selected cells, by their condition; warn of other arrays.

        Raises:
            InputError: If there is no array, or none that is wanted, or one that does not fit the labels or the others.
        """
        labels, shapes = self._labels(), {}
        for path in self._paths():
            images = self._images(path)
            self._check_count(path, images, len(labels))
            shapes[path.name] = images.shape
            first = next(iter(shapes))
            if images.shape != shapes[first]:
                raise InputError(
                    f"{self.who}: {path} must have the shape of {first}, {shapes[first]}, got {images.shape}."
                )
        known = (LABELS, *(f"{name}.npy" for name in CORRUPTIONS))
        ignored = sorted(path.name for path in self.folder.glob("*.npy") if path.name not in known)
        if ignored:
            log.warning("%s: no corruption, not read: %s.", self.who, ", ".join(ignored))
        found = [cell for cell in self._cells() if is_wanted(cell, self.corruption, self.severity)]
        if not found:
            raise InputError(nothing_wanted(self.who, self.folder, self.corruption, self.severity))
        return {cell.condition: cell for cell in found}

    def missing(self) -> list[Gap]:
        """Return the selected cells that are absent."""
        count = len(self._images(self._paths()[0])) // len(SEVERITIES)
        return find_gaps(dict.fromkeys(self._cells(), count), self.corruption, self.severity)

    def _cells(self) -> list[Cell]:
        return [Cell(path.stem, severity) for path in self._paths() for severity in SEVERITIES]

    def _paths(self) -> list[Path]:
        """Return the arrays of corruptions, in the published order."""
        found = [path for path in (self.folder / f"{name}.npy" for name in CORRUPTIONS) if path.is_file()]
        if not found:
            raise InputError(f"{self.who}: expected arrays such as fog.npy in {self.folder}, found none.")
        return found

    def _images(self, path: Path) -> np.ndarray:
        array = read_array(self.who, path)
        if array.dtype != np.uint8 or array.ndim != 4 or array.shape[3] not in (1, 3) or 0 in array.shape:
            raise InputError(
                f"{self.who}: {path} must hold uint8 images (number, height, width, 1 or 3 channels), "
                f"got {array.dtype} {array.shape}."
            )
        return array

    def _labels(self) -> np.ndarray:
        path = self.folder / LABELS
        array = read_array(self.who, path)
        if array.dtype.kind not in "iu" or array.ndim != 1 or len(array) == 0:
            raise InputError(f"{self.who}: {path} must hold whole numbers in one row, got {array.dtype} {array.shape}.")
        return array

    def _classes(self, labels: np.ndarray) -> tuple[str, ...]:
        """Return the names of the classes: at least two, one for every label."""
        path, least, largest = self.folder / CLASSES, int(labels.min()), int(labels.max())
        classes = self.classes
        if classes is None and path.is_file():
            classes = read_names(self.who, path)
        elif classes is None:
            classes = tuple(str(each) for each in range(self.num_classes or min(largest + 1, MAX_CLASSES)))
        if self.num_classes not in (None, len(classes)):
            raise InputError(
                f"{self.who}: num_classes must be {len(classes):,}, the names in {path}, got {self.num_classes:,}."
            )
        if least < 0 or largest >= len(classes) or len(classes) < 2:
            known = f"0 to {len(classes) - 1}" if len(classes) > 1 else "of at least two classes"
            raise InputError(f"{self.who}: {self.folder / LABELS} must hold labels {known}, got {least} to {largest}.")
        return classes

    def _check_count(self, path: Path, images: np.ndarray, num_labels: int) -> None:
        """Reject an array that is not as many images per severity as there are labels."""
        if len(images) % len(SEVERITIES) or num_labels not in (len(images), len(images) // len(SEVERITIES)):
            raise InputError(
                f"{self.who}: {path} must hold five times n images, where {LABELS} holds n or five times n labels; "
                f"got {len(images):,} images and {num_labels:,} labels."
            )


def read_array(who: str, path: Path) -> np.ndarray:
    """Return a memory-mapped array from a `.npy` file.

    Raises:
        InputError: If there is no such file, it is cut short or of another kind, or it holds anything but numbers.
    """
    try:
        return np.lib.format.open_memmap(path, mode="r")
    except FileNotFoundError as error:
        raise InputError(f"{who}: expected an array at {path}, found none.") from error
    except (OSError, ValueError, EOFError) as error:
        reason = str(error).partition("\n")[0].removesuffix(".")
        raise InputError(f"{who}: {path} cannot be read as an array of numbers ({reason}).") from error


def read_names(who: str, path: Path) -> tuple[str, ...]:
    """Return the names in a JSON list.

    Raises:
        InputError: If the file holds anything but a list of names, all different.
    """
    try:
        names = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{who}: {path} is not valid JSON ({error}).") from error
    if not isinstance(names, list) or not all(isinstance(each, str) for each in names) or len(set(names)) < len(names):
        raise InputError(f"{who}: {path} must hold a list of names, all different.")
    return tuple(names)
