"""Cifar10: small colour photographs in ten classes."""

import logging
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from withstand.data.base import Dataset, Part, TensorSplit, check_part, cut
from withstand.data.images.array_pickle import read_array_pickle
from withstand.data.images.augmentation import crop_and_flip
from withstand.data.places import data_root
from withstand.errors import InputError, brief
from withstand.limits import Share
from withstand.reading.places import read_bytes

CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
TRAIN = tuple(f"data_batch_{k}" for k in range(1, 6))
TEST = ("test_batch",)
VERSIONS = ("cifar-10-batches-py", "cifar-10-batches-bin")
FOLDERS = (
    *(f"{place}{each}" for each in VERSIONS for place in ("", "cifar10/")),
    "cifar10/cifar-10-batches-bin-partial",
    "cifar10",
    ".",
)
IMAGE = (3, 32, 32)
RECORD = 3073  # bytes: one label, then the red, green and blue values
RECORDS = 10_000  # in a complete file
MOST_BYTES = 1 << 30

log = logging.getLogger("withstand")


@dataclass(frozen=True, kw_only=True)
class Cifar10(Dataset):
    """50,000 + 10,000 colour photographs of 32 x 32 pixels.

    Missing training files and incomplete files are allowed and logged as warnings.

    Attributes:
        root: Folder that holds `cifar-10-batches-py/` or `cifar-10-batches-bin/` (which may be in `cifar10/`), or the
            files themselves; None takes `$WITHSTAND_DATA`.
        validation: Share of the training files for validation, at least 0 and below 1.
        augment: Whether to crop training images at random (after padding by 4 pixels) and flip them horizontally.

    Source:
        Krizhevsky 2009, "Learning Multiple Layers of Features from Tiny Images".
    """

    root: str | None = None
    validation: Share = 0.1
    augment: bool = True

    def load(self, part: Part) -> TensorSplit:
        """Read the Python or the binary version."""
        check_part("Cifar10", part)
        names = TEST if part == "test" else TRAIN
        paths = self._files(names)
        arrays = [read_binary(path) if path.suffix == ".bin" else read_python(path) for path in paths]
        x, y = torch.cat([x for x, _ in arrays]), torch.cat([y for _, y in arrays])
        rows = torch.arange(len(y)) if part == "test" else cut(y, validation=self.validation)[part]
        augment = crop_and_flip if self.augment and part == "train" else None
        return TensorSplit(x[rows], y[rows], classes=CLASSES, box=(0.0, 1.0), numbers=rows, augment=augment)

    def _files(self, names: tuple[str, ...]) -> list[Path]:
        base = data_root(self.root)
        for folder, end in product(FOLDERS, ("", ".bin")):
            paths = [base / folder / f"{name}{end}" for name in names]
            found = [path for path in paths if path.is_file()]
            missing = ", ".join(path.name for path in paths if path not in found)
            if found and missing:
                log.warning("Cifar10: %s lacks %s.", base / folder, missing)
            if found:
                return found
        raise InputError(
            f"Cifar10: expected cifar-10-batches-py/{names[0]} or cifar-10-batches-bin/{names[0]}.bin "
            f"under {base}, found none; say where with --data.root DIR or WITHSTAND_DATA."
        )


def read_binary(path: Path) -> tuple[Tensor, Tensor]:
    """Return the images and labels of a file of the binary version.

    Raises:
        InputError: If the file is not a whole number of records, or a label is not 0 to 9.
    """
    try:
        content = read_bytes(path, most=MOST_BYTES)
    except OSError as error:
        raise InputError(f"Cifar10: {path} cannot be read ({error.strerror or error}).") from error
    if not content or len(content) % RECORD:
        raise InputError(
            f"Cifar10: {path} must hold records of {RECORD:,} bytes each, got {len(content):,} bytes; "
            "the file is damaged or incomplete."
        )
    records = torch.frombuffer(bytearray(content), dtype=torch.uint8).reshape(-1, RECORD)
    return _checked(path, records[:, 1:], records[:, 0].long())


def read_python(path: Path) -> tuple[Tensor, Tensor]:
    """Return the images and labels of a file of the Python version; no code in the file runs.

    Raises:
        InputError: If the file holds anything but an array of images and their labels.
    """
    content = read_array_pickle("Cifar10", path)
    data, labels = content.get("data"), content.get("labels")
    if not isinstance(data, np.ndarray) or not isinstance(labels, list):
        raise InputError(f"Cifar10: {path} must hold an array `data` and a list `labels`, got something else.")
    if data.shape != (len(labels), RECORD - 1):
        raise InputError(
            f"Cifar10: {path} must hold {RECORD - 1:,} bytes for each of its {len(labels):,} labels, "
            f"got an array of shape {data.shape}."
        )
    if any(type(label) is not int for label in labels):
        raise InputError(f"Cifar10: {path} must hold labels that are whole numbers.")
    wrong = next((label for label in labels if not 0 <= label < 256), None)  # also those that no tensor can hold
    if wrong is not None:
        raise InputError(f"Cifar10: {path} must hold labels 0 to 9, got {brief(wrong)}; it is not CIFAR-10.")
    return _checked(path, torch.from_numpy(data.copy()), torch.tensor(labels))


def _checked(path: Path, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    wrong = y[(y < 0) | (y >= len(CLASSES))]
    if len(wrong):
        raise InputError(f"Cifar10: {path} must hold labels 0 to 9, got {int(wrong[0])}; it is not CIFAR-10.")
    if len(y) < RECORDS:
        log.warning("Cifar10: %s holds %s of %s records.", path.name, f"{len(y):,}", f"{RECORDS:,}")
    return x.reshape(-1, *IMAGE), y
