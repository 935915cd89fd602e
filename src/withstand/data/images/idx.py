"""IDX, the file format of MNIST and its successors."""

import math
import zlib
from pathlib import Path
from typing import BinaryIO

import numpy as np
import torch
from torch import Tensor

from withstand.data.base import Part, TensorSplit, check_part, cut
from withstand.data.places import find
from withstand.errors import InputError
from withstand.reading.addresses import Address
from withstand.reading.places import open_packed

UNSIGNED_BYTE = 8  # third byte of the magic number, the type of the values; the fourth is the number of axes
MOST_BYTES = 1 << 30  # far more than any published set has
GZIP = b"\x1f\x8b"


def load_idx(
    who: str,
    part: Part,
    *,
    root: str | None,
    folders: tuple[str, ...],
    validation: float,
    classes: tuple[str, ...],
) -> TensorSplit:
    """Return one part of a set of grey images of 28 x 28 pixels in four IDX files.

    Args:
        who: Name of the data set, for messages.
        part: The part.
        root: Folder given by the user, or None.
        folders: Folders of the files relative to the root, in order of preference.
        validation: Share of the training file for validation.
        classes: Names of the classes.

    Raises:
        InputError: If a file is missing, damaged or of another format.
    """
    check_part(who, part)
    stem = "t10k" if part == "test" else "train"
    ends = [f"{stem}-{kind}" for kind in ("images-idx3-ubyte", "labels-idx1-ubyte")]
    names = [[f"{folder}/{end}{zipped}" for folder in folders for zipped in ("", ".gz")] for end in ends]
    images, labels = (find(root, who, *(each.removeprefix("./") for each in those)) for those in names)
    x, y = read_idx(who, images, num_axes=3), read_idx(who, labels, num_axes=1)
    if x.shape[1:] != (28, 28):
        raise InputError(f"{who}: {images} must hold images of 28 x 28 pixels, got {x.shape[1]} x {x.shape[2]}.")
    if len(x) != len(y):
        raise InputError(f"{who}: {images} has {len(x):,} images, but {labels} has {len(y):,} labels.")
    if len(y) and int(y.max()) >= len(classes):
        raise InputError(f"{who}: {labels} must hold labels 0 to {len(classes) - 1}, got {int(y.max())}.")
    rows = torch.arange(len(y)) if part == "test" else cut(y, validation=validation)[part]
    return TensorSplit(x[rows].unsqueeze(1), y[rows], classes=classes, box=(0.0, 1.0), numbers=rows)


def read_idx(who: str, path: Path | Address, *, num_axes: int) -> Tensor:
    """Return the uint8 array of an IDX file, compressed by gzip or not.

    Args:
        who: Name of the data set, for messages.
        path: The file.
        num_axes: Expected number of axes.

    Raises:
        InputError: If the file is damaged, of another format, or its length does not match its header.

    Source:
        Y. LeCun, "The MNIST database", section "File formats": a magic number, the sizes as big-endian 32-bit
        integers, the values.
    """
    start = 4 + 4 * num_axes
    expected = bytes((0, 0, UNSIGNED_BYTE, num_axes))
    try:
        with _opened(path) as file:
            head = file.read(start)
            shape = _shape(head, num_axes) if head.startswith(expected) and len(head) == start else []
            size = math.prod(shape)
            # A header may be forged: unpack no more than it says, and no more than is possible.
            content = file.read(size + 1) if shape and size <= MOST_BYTES else b""
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{who}: {path} cannot be read, it is damaged or incomplete ({error}).") from error
    if not shape:
        came = head[:4].hex() if len(head) >= 4 else f"{len(head)} bytes"
        raise InputError(
            f"{who}: {path} must be an IDX file of bytes with {num_axes} axes, "
            f"which begins with {expected.hex()}, got {came}."
        )
    if size > MOST_BYTES:
        raise InputError(f"{who}: {path} must hold at most {MOST_BYTES:,} values, got {size:,} in its header.")
    if len(content) != size:
        came = f"{len(content):,}" if len(content) < size else "more"
        raise InputError(
            f"{who}: {path} must hold {size:,} values according to its header, got {came}; "
            "the file is damaged or incomplete."
        )
    return torch.from_numpy(np.frombuffer(content, dtype=np.uint8).reshape(shape).copy())


def _shape(head: bytes, num_axes: int) -> list[int]:
    return [int(size) for size in np.frombuffer(head, dtype=">u4", count=num_axes, offset=4)]


def _opened(path: Path | Address) -> BinaryIO:
    if not path.is_file():
        raise OSError("it is not a file")
    with path.open("rb") as file:
        is_zipped = file.read(len(GZIP)) == GZIP
    return open_packed(path) if is_zipped else path.open("rb")
