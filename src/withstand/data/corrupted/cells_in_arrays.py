"""CellsInArrays: corrupted images in the array layout of CIFAR-10-C."""

import logging
from abc import abstractmethod
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from withstand.conditions import CORRUPTIONS, MNIST_C, SEVERITIES, Cell
from withstand.data.corrupted.arrays import StoredArray, check_range, read_images, read_labels
from withstand.data.corrupted.base import CorruptedDataset
from withstand.data.corrupted.cells import Gap, find_gaps
from withstand.data.images.array_split import ArraySplit
from withstand.data.images.files_below import files_in
from withstand.data.places import find
from withstand.errors import InputError
from withstand.reading.addresses import Address

LABELS = "labels.npy"

# Arrays hold five severities.
NAMES = tuple(name for name in CORRUPTIONS if name not in MNIST_C)

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

    def _find(self, *folders: str) -> Path | Address:
        """Return the first of several folders under the data root that holds labels."""
        return find(self.root, self.who, *(f"{each}/{LABELS}".removeprefix("./") for each in folders)).parent

    def _load_cell(self, corruption: str, severity: int) -> ArraySplit:
        path = self._folder() / f"{corruption}.npy"
        labels, images = self._labels(), self._images(path)
        self._check_count(path, images, labels)
        count = len(images) // len(SEVERITIES)
        chosen = slice((severity - 1) * count, severity * count)
        own = labels[chosen] if len(labels) > count else labels
        classes = self._classes(int(labels.max()))
        check_range(self.who, self._folder() / LABELS, labels, classes)
        return ArraySplit(images[chosen], torch.from_numpy(own.astype(np.int64)), classes=classes)

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
        known = (LABELS, *(f"{name}.npy" for name in NAMES))
        ignored = sorted(name for name in files_in(self._folder()) if name.endswith(".npy") and name not in known)
        if ignored:
            log.warning("%s: no corruption, not read: %s.", self.who, ", ".join(ignored))
        return self._all_cells()

    def _all_cells(self) -> list[Cell]:
        return [Cell(path.stem, severity) for path in self._paths() for severity in SEVERITIES]

    def _paths(self) -> list[Path | Address]:
        """Return the arrays of corruptions, in the published order."""
        folder = self._folder()
        found = [path for path in (folder / f"{name}.npy" for name in NAMES) if path.is_file()]
        if not found:
            raise InputError(f"{self.who}: expected arrays such as fog.npy in {folder}, found none.")
        return found

    def _images(self, path: Path | Address) -> np.ndarray | StoredArray:
        return read_images(self.who, path)

    def _labels(self) -> np.ndarray:
        return read_labels(self.who, self._folder() / LABELS)

    def _check_count(self, path: Path | Address, images: np.ndarray | StoredArray, labels: np.ndarray) -> None:
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
