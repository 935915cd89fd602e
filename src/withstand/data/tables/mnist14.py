"""Mnist14: handwritten digits as a table of 196 numbers."""

from dataclasses import dataclass

from jaxtyping import Float, UInt8
from torch import Tensor

from withstand.data.base import Dataset, Part, TensorSplit
from withstand.data.images.idx import load_idx
from withstand.data.images.mnist import CLASSES, FOLDERS
from withstand.data.tables.features import fit_features
from withstand.limits import Share

SIDE = 14  # pixels
NAMES = tuple(f"pixel_{row}_{column}" for row in range(SIDE) for column in range(SIDE))


@dataclass(frozen=True, kw_only=True)
class Mnist14(Dataset):
    """60,000 + 10,000 handwritten digits of 14 x 14 pixels, as a table of 196 inputs in [0, 1], row by row.

    Attributes:
        root: Folder that holds `mnist/`, `MNIST/raw/`, or the four files; None takes `$WITHSTAND_DATA`.
        validation: Share of the training file for validation, at least 0 and below 1.

    Source:
        The files of MNIST; 14 x 14 as in Piat, Fadili, Jurie, da Veiga: "Regularized Robust Optimization with
        Application to Robust Learning" (pointwise_avila.py, `load_generic_base`, commit f528e81).
        Differs: a pixel is the unrounded mean of 2 x 2 pixels; the code uses Pillow's antialiased bilinear filter,
        which covers 4 x 4, and rounds to 8 bits.
    """

    root: str | None = None
    validation: Share = 0.1

    def load(self, part: Part) -> TensorSplit:
        """Read the IDX files and shrink the images."""
        train = self._read("train")
        split = train if part == "train" else self._read(part)
        return TensorSplit(
            shrink(split.x),
            split.y,
            classes=CLASSES,
            box=(0.0, 1.0),
            numbers=split.numbers,
            features=fit_features(NAMES, shrink(train.x)),
        )

    def _read(self, part: Part) -> TensorSplit:
        return load_idx("Mnist14", part, root=self.root, folders=FOLDERS, validation=self.validation, classes=CLASSES)


def shrink(x: UInt8[Tensor, "image 1 28 28"]) -> Float[Tensor, "image 196"]:
    """Return the mean of each block of 2 x 2 pixels, row after row, in [0, 1].

    Example:
        >>> import torch
        >>> x = torch.zeros(1, 1, 28, 28, dtype=torch.uint8)
        >>> x[0, 0, 2, 1] = 255
        >>> shrink(x)[0, 14]
        tensor(0.2500)
    """
    sums = sum(x[:, 0, row::2, column::2].short() for row in (0, 1) for column in (0, 1))
    assert isinstance(sums, Tensor)
    return sums.flatten(1).float() / (4 * 255)
