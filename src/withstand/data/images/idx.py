"""IDX, the file format of MNIST and its successors."""

import gzip
import math
import zlib
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from withstand.data.base import Part, TensorSplit, check_part, cut
from withstand.data.places import find
from withstand.errors import InputError

UNSIGNED_BYTE = 8  # third byte of the magic number, the type of the values; the fourth is the number of axes
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


def read_idx(who: str, path: Path, *, num_axes: int) -> Tensor:
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
    content = _content(who, path)
    start = 4 + 4 * num_axes
    expected = bytes((0, 0, UNSIGNED_BYTE, num_axes))
    if content[:4] != expected or len(content) < start:
        came = content[:4].hex() if len(content) >= 4 else f"{len(content)} bytes"
        raise InputError(
            f"{who}: {path} must be an IDX file of bytes with {num_axes} axes, "
            f"which begins with {expected.hex()}, got {came}."
        )
    shape = [int(size) for size in np.frombuffer(content, dtype=">u4", count=num_axes, offset=4)]
    if len(content) - start != math.prod(shape):
        raise InputError(
            f"{who}: {path} must hold {math.prod(shape):,} values according to its header, "
            f"got {len(content) - start:,}; the file is damaged or incomplete."
        )
    return torch.from_numpy(np.frombuffer(content, dtype=np.uint8, offset=start).reshape(shape).copy())


def _content(who: str, path: Path) -> bytes:
    try:
        content = path.read_bytes()
        return gzip.decompress(content) if content.startswith(GZIP) else content
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{who}: {path} cannot be read, it is damaged or incomplete ({error}).") from error
