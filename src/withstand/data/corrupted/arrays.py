"""Arrays of images and of labels in files."""

from collections.abc import Sequence
from pathlib import Path
from tokenize import TokenError

import numpy as np

from withstand.errors import InputError

MOST_LABELS = 10**8


def read_images(who: str, path: Path) -> np.ndarray:
    """Return a memory-mapped array of images: uint8 (number, height, width, 1 or 3 channels).

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


def read_labels(who: str, path: Path) -> np.ndarray:
    """Return a memory-mapped array of whole numbers, at least one; arguments and errors as in `read_images`."""
    array = _read(who, path)
    if array.dtype.kind not in "iu" or array.ndim != 1 or not 0 < len(array) <= MOST_LABELS:
        raise InputError(f"{who}: {path} must hold whole numbers in one row, got {array.dtype} {array.shape}.")
    return array


def check_range(who: str, path: Path, labels: np.ndarray, classes: Sequence[str]) -> None:
    """Reject labels that are no numbers of at least two classes; arguments as in `read_labels`."""
    least, largest = int(labels.min()), int(labels.max())
    if least < 0 or largest >= len(classes) or len(classes) < 2:
        known = f"0 to {len(classes) - 1}" if len(classes) > 1 else "of at least two classes"
        raise InputError(f"{who}: {path} must hold labels {known}, got {least} to {largest}.")


def _read(who: str, path: Path) -> np.ndarray:
    """Return a memory-mapped array; arrays of Python objects are refused."""
    try:
        if not path.is_file():
            raise OSError("it is not a file") if path.exists() else FileNotFoundError
        with np.errstate(over="ignore"):  # a header may claim any shape
            return np.lib.format.open_memmap(path, mode="r")
    except FileNotFoundError as error:
        raise InputError(f"{who}: expected an array at {path}, found none.") from error
    except (OSError, ValueError, EOFError, OverflowError, MemoryError, SyntaxError, TokenError) as error:
        reason = str(error).partition("\n")[0].removesuffix(".")
        raise InputError(f"{who}: {path} cannot be read as an array of numbers ({reason}).") from error
