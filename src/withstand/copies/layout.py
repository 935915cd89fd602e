"""CorruptedCopy: configuration of a corrupted copy, and the paths of its images."""

import errno
import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from math import prod
from pathlib import Path, PurePosixPath
from typing import BinaryIO, Literal
from uuid import uuid4

import numpy as np

from withstand.conditions import MNIST_C
from withstand.copies.image_tree import ImageTree
from withstand.copies.originals import Originals
from withstand.data.base import Dataset, TensorSplit
from withstand.data.images.file_split import FileSplit
from withstand.errors import InputError
from withstand.files import named, write_whole
from withstand.perturbations.base import Corruption

RECORDS = ".blocks"  # folder of the records of finished blocks, and of the arrays until the copy is complete
# How posix_fallocate fails on file systems that cannot reserve.
WITHOUT_RESERVATION = (errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS)
MEBIBYTE = 2**20
SUFFIX = {"jpeg": ".JPEG", "png": ".png"}
Format = Literal["jpeg", "png", "npy", "same"]
Source = FileSplit | TensorSplit | Originals


@dataclass(frozen=True, kw_only=True)
class CorruptedCopy:
    """Configuration of a corrupted copy.

    Attributes:
        data: Images whose test part is corrupted; or an ImageTree, whose images may keep their sizes.
        corruptions: Corruptions; each becomes a folder `<name>/<severity>`, or a part of the array `<name>.npy`. If
            images keep their sizes, a corruption without `pixels` has the parameters of the size nearest to each.
        seed: Seed of every draw; an evaluation with the same seed draws the same noise.
        format: `jpeg` writes files of quality 85 like ImageNet-C, `png` lossless files, `npy` one array per corruption
            like CIFAR-10-C, and `same` files with the names and suffixes of the images.
    """

    data: Dataset
    corruptions: tuple[Corruption, ...]
    seed: int = 0
    format: Format = "jpeg"

    def __post_init__(self) -> None:
        if not self.corruptions:
            raise InputError("corrupt: corruptions must name at least one, got none.")
        if self.seed < 0:
            raise InputError(f"corrupt: seed must be at least 0, got {self.seed}.")
        for name in self.arrays:
            if {each.severity for each in self.corruptions if array_name(each) == name} != {1, 2, 3, 4, 5}:
                then = "write jpeg or png" if name in MNIST_C else "leave --severities out, or write jpeg or png"
                raise InputError(f"corrupt: arrays hold all five severities, but {name} has fewer; {then}.")
        if self.format == "npy" and self.keeps_sizes:
            raise InputError("corrupt: arrays hold images of one size; leave --size original out, or write files.")

    @property
    def keeps_sizes(self) -> bool:
        """Whether images keep their sizes."""
        return isinstance(self.data, ImageTree) and self.data.pixels is None

    @property
    def arrays(self) -> list[str]:
        """Names of the arrays of images; empty for files."""
        return list(dict.fromkeys(array_name(each) for each in self.corruptions)) if self.format == "npy" else []


@lru_cache(maxsize=1)
def load(copy: CorruptedCopy) -> Source:
    """Return the samples, loaded once per process.

    Raises:
        InputError: If they are not in files or in memory.
    """
    if isinstance(copy.data, ImageTree) and copy.keeps_sizes:
        return Originals(copy.data)
    split = copy.data.load("test")
    if not isinstance(split, FileSplit | TensorSplit):
        raise InputError(f"corrupt: {type(copy.data).__name__} cannot be copied.")
    return split


def file_name(copy: CorruptedCopy, source: Source, row: int, label: int) -> str:
    """Return the path of a sample's file within its cell."""
    if isinstance(source, TensorSplit):
        return f"{_folder_name(source.classes[label])}/{row:06d}{SUFFIX.get(copy.format, '.png')}"
    name = source.files[row]
    return name if copy.format == "same" else str(PurePosixPath(name).with_suffix(SUFFIX.get(copy.format, ".png")))


def class_folders(source: Source) -> dict[str, int]:
    """Return the class number of each class folder of the copy."""
    if isinstance(source, TensorSplit):
        return {_folder_name(name): number for number, name in enumerate(source.classes)}
    paths = (PurePosixPath(name).parts for name in source.files)
    return {parts[0]: label for parts, label in zip(paths, source.y.tolist(), strict=True) if len(parts) > 1}


def _folder_name(name: str) -> str:
    return name.replace("/", "_")


def array_name(corruption: Corruption) -> str:
    """Return the name of a corruption's array."""
    return corruption.condition.rsplit("/", 1)[0]


def array_path(folder: Path, name: str) -> Path:
    """Return the path of an array: in the folder of a complete copy, else among the records."""
    path = folder / f"{name}.npy"
    return path if path.exists() else folder / RECORDS / path.name


def make_arrays(copy: CorruptedCopy, folder: Path, split: FileSplit | TensorSplit) -> None:
    """Create the labels and the empty arrays; existing arrays are kept."""
    channels, height, width = split.shape
    for path in (array_path(folder, name) for name in copy.arrays):
        if not path.exists():
            shape = (5 * len(split), height, width, channels)
            with placed(folder, path) as temporary, temporary.open("wb") as file:
                header = {"descr": "|u1", "fortran_order": False, "shape": shape}
                np.lib.format.write_array_header_1_0(file, header)
                append_zeros(file, prod(shape))
    buffer = io.BytesIO()
    np.save(buffer, np.tile(split.y.numpy().astype(np.int64), 5))
    write_whole(array_path(folder, "labels"), buffer.getvalue())


@contextmanager
def placed(folder: Path, path: Path) -> Iterator[Path]:
    """Yield a temporary path among the records of a copy; at the end, it is renamed to a file of the copy.

    So a killed process leaves temporary files only among the records.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = folder / RECORDS / f"{uuid4().hex}.tmp"
    try:
        with named(path):
            yield temporary
            temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def append_zeros(file: BinaryIO, size: int) -> None:
    """Append zeros that occupy disk space, since writing to a memory-mapped sparse file crashes on a full disk.

    Args:
        file: The file.
        size: Number of bytes.

    Raises:
        OSError: If there is no room.
    """
    file.flush()
    try:
        os.posix_fallocate(file.fileno(), file.tell(), size)
    except (AttributeError, OSError) as problem:
        if isinstance(problem, OSError) and problem.errno not in WITHOUT_RESERVATION:
            raise
        for start in range(0, size, MEBIBYTE):
            file.write(bytes(min(MEBIBYTE, size - start)))
