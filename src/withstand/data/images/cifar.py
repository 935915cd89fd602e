"""Files of CIFAR-10 and CIFAR-100: the Python and the binary version."""

import logging
from itertools import product
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from withstand.data.base import Part, TensorSplit, check_part, cut
from withstand.data.images.array_pickle import read_array_pickle
from withstand.data.images.augmentation import crop_and_flip
from withstand.data.places import data_root
from withstand.errors import InputError, brief
from withstand.reading.addresses import Address
from withstand.reading.places import read_bytes

IMAGE = (3, 32, 32)
VALUES = 3072  # bytes of an image: the red, green and blue values
MOST_BYTES = 1 << 30

log = logging.getLogger("withstand")


class Cifar(NamedTuple):
    """What CIFAR-10 and CIFAR-100 differ in.

    Attributes:
        who: Name of the data set, for messages.
        title: Published name.
        versions: Folders of the Python and the binary version.
        folders: Places of the files below the data root, the first one first.
        train: Names of the training files, without `.bin`.
        test: Name of the test file.
        labels: Key of the labels in the Python version.
        label_bytes: Labels before each image in the binary version; the last one counts.
        records: Images in a complete file, by its name.
        classes: Names of the classes.
    """

    who: str
    title: str
    versions: tuple[str, str]
    folders: tuple[str, ...]
    train: tuple[str, ...]
    test: str
    labels: str
    label_bytes: int
    records: dict[str, int]
    classes: tuple[str, ...]


def load_cifar(cifar: Cifar, part: Part, *, root: str | None, validation: float, augment: bool) -> TensorSplit:
    """Return a part of CIFAR-10 or CIFAR-100 from the Python or the binary version.

    Args:
        cifar: Which of the two.
        part: The part.
        root: Folder of the files; None takes `$WITHSTAND_DATA`.
        validation: Share of the training files for validation.
        augment: Whether to crop and flip training images at random.

    Raises:
        InputError: If there is no file, or one is damaged.
    """
    check_part(cifar.who, part)
    paths = _files(cifar, (cifar.test,) if part == "test" else cifar.train, data_root(root))
    arrays = [(read_binary if path.suffix == ".bin" else read_python)(cifar, path) for path in paths]
    x, y = torch.cat([x for x, _ in arrays]), torch.cat([y for _, y in arrays])
    rows = torch.arange(len(y)) if part == "test" else cut(y, validation=validation)[part]
    change = crop_and_flip if augment and part == "train" else None
    return TensorSplit(x[rows], y[rows], classes=cifar.classes, box=(0.0, 1.0), numbers=rows, augment=change)


def _files(cifar: Cifar, names: tuple[str, ...], base: Path | Address) -> list[Path | Address]:
    for folder, end in product(cifar.folders, ("", ".bin")):
        paths = [base / folder / f"{name}{end}" for name in names]
        found = [path for path in paths if path.is_file()]
        missing = ", ".join(path.name for path in paths if path not in found)
        if found and missing:
            log.warning("%s: %s lacks %s.", cifar.who, base / folder, missing)
        if found:
            return found
    python, binary = cifar.versions
    raise InputError(
        f"{cifar.who}: expected {python}/{names[0]} or {binary}/{names[0]}.bin under {base}, found none; "
        "say where with --data.root DIR or WITHSTAND_DATA."
    )


def read_binary(cifar: Cifar, path: Path | Address) -> tuple[Tensor, Tensor]:
    """Return the images and labels of a file of the binary version.

    Raises:
        InputError: If the file is not a whole number of records, or a label has no class.
    """
    record = cifar.label_bytes + VALUES
    try:
        content = read_bytes(path, most=MOST_BYTES)
    except OSError as error:
        raise InputError(f"{cifar.who}: {path} cannot be read ({error.strerror or error}).") from error
    if not content or len(content) % record:
        raise InputError(
            f"{cifar.who}: {path} must hold records of {record:,} bytes each, got {len(content):,} bytes; "
            "the file is damaged or incomplete."
        )
    records = torch.frombuffer(bytearray(content), dtype=torch.uint8).reshape(-1, record)
    return _checked(cifar, path, records[:, -VALUES:], records[:, cifar.label_bytes - 1].long())


def read_python(cifar: Cifar, path: Path | Address) -> tuple[Tensor, Tensor]:
    """Return the images and labels of a file of the Python version; no code in the file runs.

    Raises:
        InputError: If the file holds anything but an array of images and their labels.
    """
    content = read_array_pickle(cifar.who, path)
    data, labels = content.get("data"), content.get(cifar.labels)
    if not isinstance(data, np.ndarray) or not isinstance(labels, list):
        raise InputError(
            f"{cifar.who}: {path} must hold an array `data` and a list `{cifar.labels}`, got something else."
        )
    if data.shape != (len(labels), VALUES):
        raise InputError(
            f"{cifar.who}: {path} must hold {VALUES:,} bytes for each of its {len(labels):,} labels, "
            f"got an array of shape {data.shape}."
        )
    if any(type(label) is not int for label in labels):
        raise InputError(f"{cifar.who}: {path} must hold labels that are whole numbers.")
    wrong = next((label for label in labels if not 0 <= label < 256), None)  # also those that no tensor can hold
    if wrong is not None:
        raise _wrong_label(cifar, path, brief(wrong))
    return _checked(cifar, path, torch.from_numpy(data.copy()), torch.tensor(labels))


def _checked(cifar: Cifar, path: Path | Address, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    wrong, expected = y[y >= len(cifar.classes)], cifar.records.get(path.stem, 0)
    if len(wrong):
        raise _wrong_label(cifar, path, str(int(wrong[0])))
    if len(y) < expected:
        log.warning("%s: %s holds %s of %s records.", cifar.who, path.name, f"{len(y):,}", f"{expected:,}")
    return x.reshape(-1, *IMAGE), y


def _wrong_label(cifar: Cifar, path: Path | Address, got: str) -> InputError:
    return InputError(
        f"{cifar.who}: {path} must hold labels 0 to {len(cifar.classes) - 1}, got {got}; it is not {cifar.title}."
    )
