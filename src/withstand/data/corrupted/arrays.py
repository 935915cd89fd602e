"""Arrays of images and of labels in files."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from tokenize import TokenError

import numpy as np

from withstand.data.memory import check_memory
from withstand.errors import InputError
from withstand.reading.addresses import Address

MOST_LABELS = 10**8
MOST_HEAD = 1 << 14  # bytes


@dataclass(frozen=True, kw_only=True)
class StoredArray:
    """An array in an object store, whose rows are read into memory when they are asked for.

    Attributes:
        who: Name of the data set, for messages.
        path: The file.
        start: Position of the first value, in bytes.
        shape: Sizes.
        dtype: Kind of the values.
    """

    who: str
    path: Address
    start: int
    shape: tuple[int, ...]
    dtype: np.dtype

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: slice) -> np.ndarray:
        first, last, _ = rows.indices(len(self))
        size = prod(self.shape[1:]) * self.dtype.itemsize
        check_memory(self.who, f"{self.path} has {last - first:,} rows to read and", size * (last - first))
        content = self.path.read(self.start + first * size, self.start + last * size)
        if len(content) != size * (last - first):
            raise InputError(f"{self.who}: {self.path} has changed while it was read.")
        return np.frombuffer(content, self.dtype).reshape(last - first, *self.shape[1:])

    @classmethod
    def at(cls, who: str, path: Address) -> "StoredArray":
        """Read the header of an array.

        Raises:
            ValueError: If it is damaged, or the array holds Python objects or is stored by columns.
            OSError: If it does not exist.
        """
        with path.open("rb", buffering=MOST_HEAD) as file:
            version = np.lib.format.read_magic(file)
            readers = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
            if version not in readers:
                raise ValueError(f"its version is {version}")
            shape, by_column, dtype = readers[version](file)
            start = file.tell()
        if dtype.hasobject or (by_column and len(shape) > 1) or not shape:
            raise ValueError("expected numbers, stored row by row")
        if path.stat().st_size < start + prod(shape) * dtype.itemsize:
            raise ValueError("it is shorter than its header says")
        return cls(who=who, path=path, start=start, shape=shape, dtype=dtype)


def read_images(who: str, path: Path | Address) -> np.ndarray | StoredArray:
    """Return an array of images that is not yet in memory: uint8 (number, height, width, 1 or 3 channels).

    Args:
        who: Name of the data set, for messages.
        path: The file.

    Raises:
        InputError: If the file is missing, damaged or of another form.
    """
    array = _read(who, path)
    if array.dtype != np.uint8 or array.ndim != 4 or array.shape[3] not in (1, 3) or 0 in array.shape:
        raise InputError(
            f"{who}: {path} must hold uint8 images (number, height, width, 1 or 3 channels), "
            f"got {array.dtype} {array.shape}."
        )
    return array


def read_labels(who: str, path: Path | Address) -> np.ndarray:
    """Return an array of whole numbers, at least one; arguments and errors as in `read_images`."""
    array = _read(who, path)
    if array.dtype.kind not in "iu" or array.ndim != 1 or not 0 < len(array) <= MOST_LABELS:
        raise InputError(f"{who}: {path} must hold whole numbers in one row, got {array.dtype} {array.shape}.")
    return array[:]


def check_range(who: str, path: Path | Address, labels: np.ndarray, classes: Sequence[str]) -> None:
    """Reject labels that are no numbers of at least two classes; arguments as in `read_labels`."""
    least, largest = int(labels.min()), int(labels.max())
    if least < 0 or largest >= len(classes) or len(classes) < 2:
        known = f"0 to {len(classes) - 1}" if len(classes) > 1 else "of at least two classes"
        raise InputError(f"{who}: {path} must hold labels {known}, got {least} to {largest}.")


def _read(who: str, path: Path | Address) -> np.ndarray | StoredArray:
    """Return a memory-mapped or stored array; arrays of Python objects are refused."""
    try:
        if isinstance(path, Address):
            return StoredArray.at(who, path)
        if not path.is_file():
            raise OSError("it is not a file") if path.exists() else FileNotFoundError
        with np.errstate(over="ignore"):  # a header may claim any shape
            return np.lib.format.open_memmap(path, mode="r")
    except InputError:
        raise
    except FileNotFoundError as error:
        raise InputError(f"{who}: expected an array at {path}, found none.") from error
    except (OSError, ValueError, EOFError, OverflowError, MemoryError, SyntaxError, TokenError) as error:
        reason = str(error).partition("\n")[0].removesuffix(".")
        raise InputError(f"{who}: {path} cannot be read as an array of numbers ({reason}).") from error
