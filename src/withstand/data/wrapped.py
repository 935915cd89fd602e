"""WrappedSplit: a PyTorch data set of (input, label) pairs as a split."""

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import ConcatDataset, DataLoader, Subset
from torch.utils.data import Dataset as LoaderDataset

from withstand.data.base import Plan, Split, to_unit
from withstand.data.checks import as_plan, check_finite, check_plain, named
from withstand.data.sample import Sample
from withstand.errors import InputError, told
from withstand.functional.random import stream
from withstand.functional.tensors import Device

Pairs = tuple[Tensor, Tensor]


class WrappedSplit(Split):
    """The pairs of a map-style data set, fetched through PyTorch's DataLoader.

    Inputs with three axes are images in [0, 1]; normalisation belongs inside the model.
    """

    def __init__(self, pairs: Any, *, num_classes: int | None = None) -> None:
        """Read the first pair.

        Args:
            pairs: Has a length; pairs[row] is (input, label), a float tensor (or uint8 image) and a whole number.
            num_classes: Number of classes; None takes `classes` of the data set, through subsets and concatenations,
                or else reads every label once.

        Raises:
            InputError: If the first pair or a label is invalid.
        """
        if num_classes is not None and num_classes < 1:
            raise InputError(f"data: the number of classes must be at least 1, got {num_classes}.")
        try:
            count = len(pairs)
        except Exception as problem:  # data sets may raise anything
            raise InputError(f"data: the data set has no length ({told(problem)}).") from problem
        if not count:
            raise InputError("data: the data set has no samples.")
        self.pairs, self.num_classes = pairs, None
        with torch.random.fork_rng(devices=[]):  # a random transform must not move the global generator here
            first = self._read(0)[0]
            names = class_names(pairs)
            if num_classes is None and names is None:
                num_classes = 1 + max(self._read(number)[1] for number in range(count))
        if not first.numel():
            raise InputError(f"data: inputs must hold numbers, got the shape {(*first.shape,)} in sample 0.")
        self.shape = tuple(first.shape)
        self.box = (0.0, 1.0) if first.ndim == 3 else None
        if names is None or num_classes not in (None, len(names)):
            names = tuple(str(number) for number in range(num_classes or 0))
        self.classes, self.num_classes = names, len(names)

    def __len__(self) -> int:
        return len(self.pairs)

    def identifiers(self) -> Mapping[int, str] | None:
        """Return the paths in `samples` or `imgs` of the data set, as in torchvision's ImageFolder."""
        paths = _paths(self.pairs)
        return None if paths is None else dict(enumerate(paths))

    def batches(
        self, plan: Plan, *, device: Device = "cpu", num_workers: int = 0, augmentation_seed: int | None = None
    ) -> Iterator[Sample]:
        """Fetch the pairs; the data set augments them itself, in seeded workers.

        Raises:
            InputError: If a sample is invalid; the message names it.
        """
        numbers = list(as_plan(plan, len(self)))
        loader = DataLoader(
            _Fetched(self),
            batch_size=None,
            sampler=[each.tolist() for each in numbers],
            num_workers=num_workers,
            generator=stream(augmentation_seed or 0, "data/workers"),  # else the loader draws a global seed
        )
        for index, fetched in zip(numbers, loader, strict=True):
            if isinstance(fetched, InputError):
                raise fetched
            x, y = fetched
            yield Sample(x.to(device), y.to(device), index.to(device))

    def fetch(self, rows: list[int]) -> Pairs:
        """Return the inputs and labels of some samples.

        Raises:
            InputError: If one is invalid.
        """
        if not rows:
            return torch.empty(0, *self.shape), torch.empty(0, dtype=torch.int64)
        fetch_many = getattr(self.pairs, "__getitems__", None)
        if fetch_many is None:
            found = [self._pair(row) for row in rows]
        else:
            with _told(f"one of the samples {rows[0]} to {rows[-1]}"):
                found = fetch_many(rows)
        inputs, labels = zip(*map(self._check, rows, found), strict=True)
        for row, x in zip(rows, inputs, strict=True):
            if tuple(x.shape) != self.shape:
                raise InputError(
                    f"data: inputs must all have the same shape, {self.shape}, got {(*x.shape,)} in sample {row}."
                )
        x = torch.stack(inputs)
        self._check_values(rows, x)
        return x, torch.tensor(labels)

    def _read(self, row: int) -> tuple[Tensor, int]:
        return self._check(row, self._pair(row))

    def _pair(self, row: int) -> Any:
        with _told(f"sample {row}"):
            return self.pairs[row]

    def _check(self, row: int, pair: Any) -> tuple[Tensor, int]:
        """Return a pair as float32 input and label."""
        if not isinstance(pair, tuple | list) or len(pair) != 2:
            raise InputError(
                f"data: the data set must give (input, label) pairs, got {type(pair).__name__} for sample {row}."
            )
        x, given = pair
        if not isinstance(x, Tensor):
            raise InputError(
                f"data: inputs must be tensors, got {type(x).__name__} in sample {row}; "
                "images need a transform such as ToTensor."
            )
        check_plain(f"data: inputs (sample {row})", x)
        if x.is_complex() or x.is_quantized or x.dtype == torch.bool:
            came = str(x.dtype).removeprefix("torch.")
            raise InputError(f"data: inputs must be floats or uint8, got {came} in sample {row}.")
        label = _plain(given)
        if not isinstance(label, int):
            raise InputError(
                f"data: labels must be whole numbers, one per sample, got {_described(label)} in sample {row}."
            )
        if label < 0 or (self.num_classes is not None and label >= self.num_classes):
            allowed = "0 or more" if self.num_classes is None else f"0 to {self.num_classes - 1}"
            raise InputError(f"data: labels must be {allowed}, got {label} in sample {row}.")
        return to_unit(x) if x.dtype == torch.uint8 else x.detach().float(), int(label)

    def _check_values(self, rows: list[int], x: Tensor) -> None:
        """Reject values that are not finite, and images outside [0, 1]."""
        check_finite(x, rows, names=self.identifiers())
        if self.box is None or (x.min() >= 0 and x.max() <= 1):
            return
        row, image = next(pair for pair in zip(rows, x, strict=True) if pair[1].min() < 0 or pair[1].max() > 1)
        raise InputError(
            f"data: images must lie in [0, 1], got values from {image.min():.3g} to {image.max():.3g} in sample "
            f"{named(row, self.identifiers())}; "
            "normalisation belongs inside the model."
        )


def class_names(pairs: Any) -> tuple[str, ...] | None:
    """Return the names in `classes` of a PyTorch data set, or None.

    Example:
        >>> class_names([(torch.zeros(2), 0)]) is None
        True
    """
    if isinstance(pairs, Subset):
        return class_names(pairs.dataset)
    if isinstance(pairs, ConcatDataset):
        found = {class_names(each) for each in pairs.datasets}
        return found.pop() if len(found) == 1 else None
    names = getattr(pairs, "classes", None)
    return tuple(str(each) for each in names) if isinstance(names, list | tuple) and names else None


def _paths(pairs: Any) -> list[str] | None:
    """Return the path of each sample, if all are known."""
    if isinstance(pairs, Subset):
        paths = _paths(pairs.dataset)
        return None if paths is None else [paths[number] for number in pairs.indices]
    if isinstance(pairs, ConcatDataset):
        parts = [_paths(each) for each in pairs.datasets]
        return None if None in parts else [path for part in parts if part is not None for path in part]
    for name in ("samples", "imgs"):
        listed = getattr(pairs, name, None)
        if isinstance(listed, list) and len(listed) == len(pairs):
            firsts = [each[0] for each in listed if isinstance(each, tuple | list) and each]
            paths = [str(each) for each in firsts if isinstance(each, str | Path)]
            return paths if len(paths) == len(listed) else None
    return None


class _Fetched(LoaderDataset[Pairs | InputError]):
    """Fetches a batch in a worker, or returns an error."""

    def __init__(self, split: WrappedSplit) -> None:
        self.split = split

    def __getitem__(self, rows: list[int]) -> Pairs | InputError:
        try:
            return self.split.fetch(rows)
        except InputError as problem:  # the loader adds a traceback to the message of an exception
            return problem


@contextmanager
def _told(what: str) -> Iterator[None]:
    """Raise any exception of a data set's own code as an `InputError`."""
    try:
        yield
    except (InputError, MemoryError):
        raise
    except Exception as problem:  # data sets may raise anything
        raise InputError(f"data: {what} cannot be read: {type(problem).__name__} ({told(problem)}).") from problem


def _plain(label: Any) -> Any:
    """Return a label as a plain number, unwrapped from a tensor or array of one element."""
    is_one = isinstance(label, Tensor | np.ndarray | np.generic) and math.prod(label.shape) == 1
    return label.item() if is_one and not getattr(label, "is_meta", False) else label


def _described(label: Any) -> str:
    is_array = isinstance(label, Tensor | np.ndarray)
    return f"{label.dtype} of shape {(*label.shape,)}" if is_array else repr(label)
