"""Conversion of any accepted data to a split."""

from typing import Any

from withstand.data.base import Dataset, Part, Split
from withstand.data.wrapped import WrappedSplit, class_names
from withstand.errors import InputError


def as_split(data: Any, part: Part, *, num_classes: int | None = None) -> Split:
    """Return data of any accepted kind as a split.

    Args:
        data: A data set of the package, a split, or any PyTorch data set of (input, label) pairs.
        part: Part of a data set of the package.
        num_classes: Number of classes of pairs without class names (the model's outputs); None reads every label once.

    Raises:
        InputError: If it is none of these, or invalid.
    """
    if isinstance(data, Split):
        return data
    if isinstance(data, Dataset):
        return data.load(part)
    if hasattr(data, "__getitem__") and hasattr(data, "__len__"):
        return WrappedSplit(data, num_classes=num_classes if class_names(data) is None else None)
    raise InputError(
        "data: expected a data set of withstand or a PyTorch data set of (input, label) pairs, "
        f"got {type(data).__name__}."
    )
