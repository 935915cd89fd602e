"""MnistC: the published arrays of MNIST-C."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
import torch

from withstand.conditions import CLEAN, MNIST_C, Cell
from withstand.data.base import Dataset, Part, Split
from withstand.data.corrupted.arrays import check_range, read_images, read_labels
from withstand.data.corrupted.base import CorruptedDataset
from withstand.data.corrupted.cells import Gap, find_gaps
from withstand.data.images.array_split import ArraySplit
from withstand.data.images.mnist import CLASSES
from withstand.data.places import data_root
from withstand.errors import InputError, brief
from withstand.reading.addresses import Address

FOLDERS = ("mnist_c", "MNIST-C", "mnist-c", ".")
PREFIX = "mnist_"  # of names, since many are names of ImageNet-C, too
IDENTITY = "identity"  # folder of the images without corruption
IMAGES, LABELS = "test_images.npy", "test_labels.npy"


@dataclass(frozen=True, kw_only=True)
class MnistC(CorruptedDataset):
    """Corrupted test images of MNIST, one cell per corruption, which has severity 1; lossless.

    The images in the folder `identity` form the cell `clean`; the corrupted training images are not read.

    Attributes:
        root: Folder that holds `<corruption>/test_images.npy` and `<corruption>/test_labels.npy`, which may also be in
            `mnist_c/`, `MNIST-C/` or `mnist-c/`; None takes `$WITHSTAND_DATA`.
        corruption: A name such as `mnist_fog`, for the folder `fog`, or `clean`; None selects all.
        severity: 1, or None.

    Source:
        Mu, Gilmer 2019, arXiv 1906.02337; zenodo.org/records/3239543.
    """

    root: str | None = None
    severity: Literal[1] | None = None

    def _check_cell(self) -> None:
        if self.corruption not in (None, CLEAN, *MNIST_C):
            raise InputError(f"{self.who}: corruption must be a name such as mnist_fog, got {brief(self.corruption)}.")

    def load(self, part: Part) -> Split:
        """Return the images of the selected cell."""
        if self.corruption is not None and self.severity is None:
            return replace(self, severity=1).load(part)
        return super().load(part)

    def cells(self) -> dict[str, Dataset]:
        """Return the selected cells by condition, the clean one first."""
        clean = replace(self, corruption=CLEAN, severity=None)
        found: dict[str, Dataset] = {CLEAN: clean} if self._path(CLEAN).is_file() else {}
        if self.corruption == CLEAN and found:
            return found
        return (found if self.corruption is None else {}) | super().cells()

    def missing(self) -> list[Gap]:
        """Return the selected cells that are absent or have fewer images than the largest cell."""
        there = {cell: len(read_images(self.who, self._path(cell.corruption))) for cell in self._list_cells()}
        return find_gaps({Cell(name, 1): there.get(Cell(name, 1), 0) for name in MNIST_C}, self.corruption)

    def _folder(self) -> Path | Address:
        base = data_root(self.root)
        names = [*(name.removeprefix(PREFIX) for name in MNIST_C), IDENTITY]
        for folder in FOLDERS:
            if any((base / folder / name / IMAGES).is_file() for name in names):
                return base / folder
        raise InputError(
            f"{self.who}: expected arrays such as fog/{IMAGES} in {base} or its folder {FOLDERS[0]}, found none; "
            "say where with --data.root DIR or WITHSTAND_DATA."
        )

    def _list_cells(self) -> list[Cell]:
        return [Cell(name, 1) for name in MNIST_C if self._path(name).is_file()]

    def _path(self, corruption: str) -> Path | Address:
        name = IDENTITY if corruption == CLEAN else corruption.removeprefix(PREFIX)
        return self._folder() / name / IMAGES

    def _load_cell(self, corruption: str, severity: int) -> ArraySplit:
        path = self._path(corruption)
        images, labels = read_images(self.who, path), read_labels(self.who, path.with_name(LABELS))
        if images.shape[1:] != (28, 28, 1) or len(images) != len(labels):
            raise InputError(
                f"{self.who}: {path} must hold an image of 28 x 28 pixels for each of {len(labels):,} labels, "
                f"got {images.shape}."
            )
        check_range(self.who, path.with_name(LABELS), labels, CLASSES)
        return ArraySplit(images[:], torch.from_numpy(labels.astype(np.int64)), classes=CLASSES)
