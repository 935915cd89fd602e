"""What a corrupted copy is, and where its images lie."""

import io
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Any, Literal

import numpy as np

from withstand.data.base import Dataset, Split, TensorSplit
from withstand.data.images.file_split import FileSplit
from withstand.errors import InputError
from withstand.files import write_whole
from withstand.perturbations.base import Corruption

# Where the records of finished blocks, and arrays, lie until the copy is whole.
RECORDS = ".blocks"
SUFFIX = {"jpeg": ".JPEG", "png": ".png"}


@dataclass(frozen=True, kw_only=True)
class CorruptedCopy:
    """What is written.

    Attributes:
        data: Whose test part is corrupted; images.
        corruptions: Each becomes a folder `<name>/<severity>`, or a part of the array `<name>.npy`.
        seed: Decides every draw; an evaluation with the same seed meets the same noise.
        format: `jpeg` writes files of quality 85 as ImageNet-C has them, `png` files without loss, and `npy` one array
            per corruption as CIFAR-10-C has them.
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


@lru_cache(maxsize=1)
def load(copy: CorruptedCopy) -> Split:
    """Return the samples, loaded once per process."""
    return copy.data.load("test")


@lru_cache(maxsize=1)
def places(copy: CorruptedCopy) -> dict[int, int]:
    """Return the place in the split of each sample's number, which the noise is derived from."""
    split = load(copy)
    assert isinstance(split, FileSplit | TensorSplit)
    return {number: place for place, number in enumerate(split.numbers.tolist())}


def target(copy: CorruptedCopy, split: Split, names: list[str] | None, place: int, label: int) -> str:
    """Return the path of a sample's file within its cell."""
    if names is None:
        return f"{_folder(split.classes[label])}/{place:06d}{SUFFIX.get(copy.format, '')}"
    return str(PurePosixPath(names[place]).with_suffix(SUFFIX.get(copy.format, "")))


def class_folders(split: Split) -> dict[str, int]:
    """Return the class number of each class folder of the copy."""
    if not isinstance(split, FileSplit):
        return {_folder(name): number for number, name in enumerate(split.classes)}
    tops = (PurePosixPath(name).parts for name in split.files)
    return {parts[0]: label for parts, label in zip(tops, split.y.tolist(), strict=True) if len(parts) > 1}


def _folder(name: str) -> str:
    return name.replace("/", "_")


def kinds(copy: CorruptedCopy) -> list[str]:
    """Return the names of the arrays."""
    return list(dict.fromkeys(kind(each) for each in copy.corruptions))


def kind(corruption: Corruption) -> str:
    """Return the name of a corruption's array."""
    return corruption.condition.rsplit("/", 1)[0]


def array_path(folder: Path, name: str) -> Path:
    """Return where an array is: at its place when the copy is whole, among the records before."""
    place = folder / f"{name}.npy"
    return place if place.exists() else folder / RECORDS / place.name


def make_arrays(copy: CorruptedCopy, folder: Path, split: Split) -> None:
    """Make the arrays, empty, and the labels; those that are there already stay."""
    channels, height, width = split.shape
    for name in kinds(copy):
        if not array_path(folder, name).exists():
            temporary = array_path(folder, name).with_suffix(".tmp")
            shape = (5 * len(split), height, width, channels)
            np.lib.format.open_memmap(temporary, mode="w+", dtype=np.uint8, shape=shape).flush()
            temporary.replace(array_path(folder, name))
    assert isinstance(split, FileSplit | TensorSplit)  # by `_check`
    buffer = io.BytesIO()
    np.save(buffer, np.tile(split.y.numpy().astype(np.int64), 5))
    write_whole(array_path(folder, "labels"), buffer.getvalue())


def open_arrays(copy: CorruptedCopy, folder: Path) -> dict[str, Any]:
    """Open the arrays for writing."""
    return {name: np.load(array_path(folder, name), mmap_mode="r+") for name in kinds(copy)}
