"""CellsInArrays: corrupted images in the array layout of CIFAR-10-C."""

import logging
from abc import abstractmethod
from dataclasses import dataclass
from pathlib import Path
from tokenize import TokenError

import numpy as np
import torch

from withstand.conditions import CORRUPTIONS, SEVERITIES, Cell
from withstand.data.corrupted.base import CorruptedDataset
from withstand.data.corrupted.cells import Gap, find_gaps
from withstand.data.images.array_split import ArraySplit
from withstand.data.places import find
from withstand.errors import InputError

LABELS = "labels.npy"
MOST_LABELS = 10**8

log = logging.getLogger("withstand")


@dataclass(frozen=True, kw_only=True)
class CellsInArrays(CorruptedDataset):
    """Images in `<corruption>.npy`, uint8 (5 n, height, width, channels), severity 1 first.

    `labels.npy` holds n whole numbers, or the same n five times.
    """

    def missing(self) -> list[Gap]:
        """Return the selected cells that are absent."""
        count = len(self._images(self._paths()[0])) // len(SEVERITIES)
        return find_gaps(dict.fromkeys(self._all_cells(), count), self.corruption, self.severity)

    @abstractmethod
    def _classes(self, largest: int) -> tuple[str, ...]:
        """Return the names of the classes, given the largest label."""

    def _find(self, *folders: str) -> Path:
        """Return the first of several folders under the data root that holds labels."""
        return find(self.root, self.who, *(f"{each}/{LABELS}".removeprefix("./") for each in folders)).parent

    def _load_cell(self, corruption: str, severity: int) -> ArraySplit:
        path = self._folder() / f"{corruption}.npy"
        labels, images = self._labels(), self._images(path)
        self._check_count(path, images, labels)
        least, largest = int(labels.min()), int(labels.max())
        classes = self._classes(largest)
        if least < 0 or largest >= len(classes) or len(classes) < 2:
            known = f"0 to {len(classes) - 1}" if len(classes) > 1 else "of at least two classes"
            raise InputError(
                f"{self.who}: {self._folder() / LABELS} must hold labels {known}, got {least} to {largest}."
            )
        count = len(images) // len(SEVERITIES)
        chosen = slice((severity - 1) * count, severity * count)
        y = torch.from_numpy((labels[chosen] if len(labels) > count else labels).astype(np.int64))
        return ArraySplit(images[chosen], y, classes=classes)

    def _list_cells(self) -> list[Cell]:
        """Check all arrays and return their cells; warn about other arrays."""
        labels, shapes = self._labels(), {}
        for path in self._paths():
            images = self._images(path)
            self._check_count(path, images, labels)
            shapes[path.name] = images.shape
            first = next(iter(shapes))
            if images.shape != shapes[first]:
                raise InputError(
                    f"{self.who}: {path} must have the shape of {first}, {shapes[first]}, got {images.shape}."
                )
        known = (LABELS, *(f"{name}.npy" for name in CORRUPTIONS))
        ignored = sorted(path.name for path in self._folder().glob("*.npy") if path.name not in known)
        if ignored:
            log.warning("%s: no corruption, not read: %s.", self.who, ", ".join(ignored))
        return self._all_cells()

    def _all_cells(self) -> list[Cell]:
        return [Cell(path.stem, severity) for path in self._paths() for severity in SEVERITIES]

    def _paths(self) -> list[Path]:
        """Return the arrays of corruptions, in the published order."""
        folder = self._folder()
        found = [path for path in (folder / f"{name}.npy" for name in CORRUPTIONS) if path.is_file()]
        if not found:
            raise InputError(f"{self.who}: expected arrays such as fog.npy in {folder}, found none.")
        return found

    def _images(self, path: Path) -> np.ndarray:
        array = self._read(path)
        if array.dtype != np.uint8 or array.ndim != 4 or array.shape[3] not in (1, 3) or 0 in array.shape:
            raise InputError(
                f"{self.who}: {path} must hold uint8 images (number, height, width, 1 or 3 channels), "
                f"got {array.dtype} {array.shape}."
            )
        return array

    def _labels(self) -> np.ndarray:
        path = self._folder() / LABELS
        array = self._read(path)
        if array.dtype.kind not in "iu" or array.ndim != 1 or not 0 < len(array) <= MOST_LABELS:
            raise InputError(f"{self.who}: {path} must hold whole numbers in one row, got {array.dtype} {array.shape}.")
        return array

    def _check_count(self, path: Path, images: np.ndarray, labels: np.ndarray) -> None:
        num_labels = len(labels)
        if len(images) % len(SEVERITIES) or num_labels not in (len(images), len(images) // len(SEVERITIES)):
            raise InputError(
                f"{self.who}: {path} must hold five times n images, where {LABELS} holds n or five times n labels; "
                f"got {len(images):,} images and {num_labels:,} labels."
            )
        if (
            num_labels == len(images)
            and (labels.reshape(len(SEVERITIES), -1) != labels[: num_labels // len(SEVERITIES)]).any()
        ):
            raise InputError(
                f"{self.who}: {path} must hold every image at five severities, severity 1 first, but its "
                f"{num_labels:,} labels do not repeat five times, so it holds one severity."
            )

    def _read(self, path: Path) -> np.ndarray:
        """Return a memory-mapped array; arrays of Python objects are refused."""
        try:
            if not path.is_file():
                raise OSError("it is not a file") if path.exists() else FileNotFoundError
            with np.errstate(over="ignore"):  # a header may claim any shape
                return np.lib.format.open_memmap(path, mode="r")
        except FileNotFoundError as error:
            raise InputError(f"{self.who}: expected an array at {path}, found none.") from error
        except (OSError, ValueError, EOFError, OverflowError, MemoryError, SyntaxError, TokenError) as error:
            reason = str(error).partition("\n")[0].removesuffix(".")
            raise InputError(f"{self.who}: {path} cannot be read as an array of numbers ({reason}).") from error
