"""Digits: small handwritten digits bundled with scikit-learn."""

from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image

from withstand.data.base import Dataset, Part, TensorSplit, check_part, check_shares, cut
from withstand.data.images.mnist import CLASSES
from withstand.limits import Share

SIDE = 32  # pixels, the size of CIFAR networks and corruptions


@dataclass(frozen=True, kw_only=True)
class Digits(Dataset):
    """1,797 handwritten digits of 8 x 8 pixels, upsampled to 3 x 32 x 32.

    Attributes:
        validation: Share for validation, at least 0; below 1 in total with `test`.
        test: Share for testing.

    Source:
        scikit-learn's `load_digits`: the test part of UCI set 80, "Optical Recognition of Handwritten Digits"
        (Alpaydin, Kaynak 1998), values 0 to 16.
        Differs: 8 bits per value, enlarged bilinearly for image corruptions.
    """

    validation: Share = 0.1
    test: Share = 0.2

    def __post_init__(self) -> None:
        super().__post_init__()
        check_shares("Digits", self.validation, self.test)

    def load(self, part: Part) -> TensorSplit:
        """Split the bundled images."""
        check_part("Digits", part)
        from sklearn.datasets import load_digits

        values, labels = load_digits(return_X_y=True)
        y = torch.from_numpy(np.asarray(labels))
        rows = cut(y, validation=self.validation, test=self.test)[part]
        grey = np.round(np.asarray(values)[rows.numpy()] * (255 / 16)).astype(np.uint8).reshape(-1, 8, 8)
        x = torch.zeros((len(rows), 3, SIDE, SIDE), dtype=torch.uint8)
        for image, small in zip(x, grey, strict=True):
            large = Image.fromarray(small).resize((SIDE, SIDE), Image.Resampling.BILINEAR)
            image.copy_(torch.from_numpy(np.array(large)))
        return TensorSplit(x, y[rows], classes=CLASSES, box=(0.0, 1.0), numbers=rows)

    @classmethod
    def examples(cls) -> list[Dataset]:
        """The default split."""
        return [cls()]
