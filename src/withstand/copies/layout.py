"""CorruptedCopy: configuration of a corrupted copy, and the paths of its images."""

import io
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Literal

import numpy as np

from withstand.data.base import Dataset, TensorSplit
from withstand.data.images.file_split import FileSplit
from withstand.errors import InputError
from withstand.files import write_whole
from withstand.perturbations.base import Corruption

RECORDS = ".blocks"  # folder of the records of finished blocks, and of the arrays until the copy is complete
SUFFIX = {"jpeg": ".JPEG", "png": ".png", "npy": ""}


@dataclass(frozen=True, kw_only=True)
class CorruptedCopy:
    """Configuration of a corrupted copy.

    Attributes:
        data: Images whose test part is corrupted.
        corruptions: Corruptions; each becomes a folder `<name>/<severity>`, or a part of the array `<name>.npy`.
        seed: Seed of every draw; an evaluation with the same seed draws the same noise.
        format: `jpeg` writes files of quality 85 like ImageNet-C, `png` lossless files, and `npy` one array per
            corruption like CIFAR-10-C.
    """

    data: Dataset
    corruptions: tuple[Corruption, ...]
    seed: int = 0
    format: Literal["jpeg", "png", "npy"] = "jpeg"

    def __post_init__(self) -> None:
        if not self.corruptions:
            raise InputError("corrupt: corruptions must name at least one, got none.")
        if self.seed < 0:
            raise InputError(f"corrupt: seed must be at least 0, got {self.seed}.")
        severities = {each.severity for each in self.corruptions}
        if self.format == "npy" and severities != {1, 2, 3, 4, 5}:
            raise InputError("corrupt: arrays hold all five severities; leave --severities out, or write jpeg or png.")

    @property
    def arrays(self) -> list[str]:
        """Names of the arrays of images; empty for files."""
        return list(dict.fromkeys(array_name(each) for each in self.corruptions)) if self.format == "npy" else []


@lru_cache(maxsize=1)
def load(copy: CorruptedCopy) -> FileSplit | TensorSplit:
    """Return the samples, loaded once per process.

    Raises:
        InputError: If they are not in files or in memory.
    """
    split = copy.data.load("test")
    if not isinstance(split, FileSplit | TensorSplit):
        raise InputError(f"corrupt: {type(copy.data).__name__} cannot be copied.")
    return split


def file_name(copy: CorruptedCopy, split: FileSplit | TensorSplit, row: int, label: int) -> str:
    """Return the path of a sample's file within its cell."""
    if isinstance(split, FileSplit):
        return str(PurePosixPath(split.files[row]).with_suffix(SUFFIX[copy.format]))
    return f"{_folder_name(split.classes[label])}/{row:06d}{SUFFIX[copy.format]}"


def class_folders(split: FileSplit | TensorSplit) -> dict[str, int]:
    """Return the class number of each class folder of the copy."""
    if not isinstance(split, FileSplit):
        return {_folder_name(name): number for number, name in enumerate(split.classes)}
    paths = (PurePosixPath(name).parts for name in split.files)
    return {parts[0]: label for parts, label in zip(paths, split.y.tolist(), strict=True) if len(parts) > 1}


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
            temporary = path.with_suffix(".tmp")
            shape = (5 * len(split), height, width, channels)
            np.lib.format.open_memmap(temporary, mode="w+", dtype=np.uint8, shape=shape).flush()
            temporary.replace(path)
    buffer = io.BytesIO()
    np.save(buffer, np.tile(split.y.numpy().astype(np.int64), 5))
    write_whole(array_path(folder, "labels"), buffer.getvalue())
