"""CorruptedCopy: configuration of a corrupted copy, and the paths of its images."""

import io
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Literal

import numpy as np

from withstand.copies.image_tree import ImageTree
from withstand.copies.originals import Originals
from withstand.data.base import Dataset, TensorSplit
from withstand.data.images.file_split import FileSplit
from withstand.errors import InputError
from withstand.files import write_whole
from withstand.perturbations.base import Corruption

RECORDS = ".blocks"  # folder of the records of finished blocks, and of the arrays until the copy is complete
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
        severities = {each.severity for each in self.corruptions}
        if self.format == "npy" and severities != {1, 2, 3, 4, 5}:
            raise InputError("corrupt: arrays hold all five severities; leave --severities out, or write jpeg or png.")
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
            temporary = path.with_suffix(".tmp")
            shape = (5 * len(split), height, width, channels)
            np.lib.format.open_memmap(temporary, mode="w+", dtype=np.uint8, shape=shape).flush()
            temporary.replace(path)
    buffer = io.BytesIO()
    np.save(buffer, np.tile(split.y.numpy().astype(np.int64), 5))
    write_whole(array_path(folder, "labels"), buffer.getvalue())
