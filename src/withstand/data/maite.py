"""Data sets of MAITE, the protocols for testing of MIT Lincoln Laboratory."""

from collections.abc import Mapping
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from withstand.errors import InputError


class MaitePairs:
    """A data set of MAITE as one of (input, label) pairs; nothing of MAITE is imported.

    Attributes:
        classes: Names in `index2label`, or else the numbers of the classes.

    Source:
        MAITE 0.10, maite.protocols.image_classification.Dataset.
    """

    def __init__(self, data: Any) -> None:
        """Read the first element."""
        self.data = data
        count = len(self._element(0)[1]) if len(data) else 0
        names = data.metadata.get("index2label", {})
        self.classes = [str(names.get(number, number)) for number in range(count)]

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, row: int) -> tuple[Tensor, int]:
        image, vector = self._element(row)
        return image if isinstance(image, Tensor) else torch.from_numpy(np.array(image)), int(vector.argmax())

    @cached_property
    def samples(self) -> list[tuple[str]] | None:
        """The identifiers, if they can be read without the images."""
        read = getattr(self.data, "get_metadata", None)
        return None if read is None else [(str(read(row)["id"]),) for row in range(len(self))]

    def _element(self, row: int) -> tuple[Any, np.ndarray]:
        """Return an image and its target."""
        found = self.data[row]
        if not isinstance(found, tuple) or len(found) != 3:
            came = type(found).__name__
            raise InputError(
                f"data: a data set of MAITE must give (input, target, metadata), got {came} in sample {row}."
            )
        target = found[1].detach().cpu() if isinstance(found[1], Tensor) else found[1]
        vector = np.asarray(target, np.float64)
        if vector.ndim != 1 or not np.isfinite(vector).all():
            shape = vector.shape
            raise InputError(
                f"data: targets must be a number per class, got an array of shape {shape} in sample {row}."
            )
        return found[0], vector


def is_maite_data(data: Any) -> bool:
    """Return whether a data set has the metadata of one of MAITE.

    Example:
        >>> is_maite_data([(torch.zeros(2), 0)])
        False
    """
    metadata = getattr(data, "metadata", None)
    return isinstance(metadata, Mapping) and "id" in metadata and hasattr(data, "__getitem__")
