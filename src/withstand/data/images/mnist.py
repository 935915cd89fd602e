"""Mnist: handwritten digits."""

from dataclasses import dataclass

from withstand.data.base import Dataset, Part, TensorSplit
from withstand.data.images.idx import load_idx
from withstand.limits import Share

FOLDERS = ("mnist", "MNIST/raw", ".")
CLASSES = tuple(str(digit) for digit in range(10))


@dataclass(frozen=True, kw_only=True)
class Mnist(Dataset):
    """60,000 + 10,000 greyscale handwritten digits of 28 x 28 pixels.

    Attributes:
        root: Folder that holds `mnist/`, `MNIST/raw/`, or the four files; None takes `$WITHSTAND_DATA`.
        validation: Share of the training file for validation, at least 0 and below 1.

    Source:
        LeCun, Bottou, Bengio, Haffner 1998, "Gradient-based learning applied to document recognition".
    """

    root: str | None = None
    validation: Share = 0.1

    def load(self, part: Part) -> TensorSplit:
        """Read the IDX files."""
        return load_idx("Mnist", part, root=self.root, folders=FOLDERS, validation=self.validation, classes=CLASSES)
