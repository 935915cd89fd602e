"""Conversion of any accepted data to a split."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from torch import Tensor
from torch.utils.data import ConcatDataset, DataLoader, Subset

from withstand.data.base import Dataset, Part, Split, TensorSplit
from withstand.data.images.file_split import FileSplit
from withstand.data.maite import MaitePairs, is_maite_data
from withstand.data.wrapped import WrappedSplit, class_names
from withstand.errors import InputError

NO_PAIRS = (str, bytes, Tensor, np.ndarray, Mapping, type)
ADVICE = {
    str: "; create the data set, such as ws.Digits()",
    Tensor | np.ndarray: "; pass torch.utils.data.TensorDataset(inputs, labels)",
    type: "; call it",
    DataLoader: "; pass its data set",
}


def as_split(data: Any, part: Part, *, num_classes: int | None = None) -> Split:
    """Return data of any accepted kind as a split.

    Args:
        data: A data set of the package, a split, a `Subset` of a split, any PyTorch data set of pairs, or a data set of
            MAITE.
        part: Part of a data set of the package.
        num_classes: Number of classes of pairs without class names (the model's outputs); None reads every label once.

    Raises:
        InputError: If it is none of these, or invalid.
    """
    if isinstance(data, Split):
        return data
    if isinstance(data, Subset) and (selected := _selected(data)) is not None:
        return selected
    if isinstance(data, ConcatDataset) and any(isinstance(each, Split | Dataset) for each in data.datasets):
        raise InputError("data: a ConcatDataset must hold PyTorch data sets of (input, label) pairs, got a split.")
    if isinstance(data, Dataset):
        return data.load(part)
    data = MaitePairs(data) if is_maite_data(data) else data
    if not isinstance(data, NO_PAIRS) and hasattr(data, "__getitem__") and hasattr(data, "__len__"):
        return WrappedSplit(data, num_classes=num_classes if class_names(data) is None else None)
    advice = next((advice for kind, advice in ADVICE.items() if isinstance(data, kind)), "")
    came = f"the class {data.__name__}" if isinstance(data, type) else type(data).__name__
    raise InputError(
        f"data: expected a data set of withstand or a PyTorch data set of (input, label) pairs, got {came}{advice}."
    )


def _selected(data: Subset) -> Split | None:
    """Return a subset of a split as a split; None for subsets of other data."""
    whole = _selected(data.dataset) if isinstance(data.dataset, Subset) else data.dataset
    if isinstance(whole, TensorSplit | FileSplit):
        return whole.select([int(each) for each in data.indices])
    if isinstance(whole, Split | Dataset):
        name = type(whole).__name__
        raise InputError(f"data: a Subset must hold PyTorch data or a split with `select`, got {name}; `load` a part.")
    return None
