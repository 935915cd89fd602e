"""Any PyTorch data set of (input, label) pairs as a split."""

from collections.abc import Iterable, Iterator
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader

from withstand.data.base import Sample, Split, check_labels, to_unit
from withstand.errors import InputError


class WrappedSplit(Split):
    """The pairs of a map-style data set, fetched through PyTorch's loader.

    Inputs with three axes are images and must lie in [0, 1]; normalisation belongs inside the model.
    """

    def __init__(self, pairs: Any, *, num_classes: int | None = None) -> None:
        """Look at the first pair.

        Args:
            pairs: Has a length, and gives (input, label) for a number: a float tensor (or uint8 image tensor), an int.
            num_classes: Number of classes; None takes `pairs.classes`, or looks at every label once.
        """
        if not len(pairs):
            raise InputError("data: the data set has no samples.")
        pair = pairs[0]
        if not isinstance(pair, tuple | list) or len(pair) != 2:
            raise InputError(f"data: the data set must give (input, label) pairs, got {type(pair).__name__}.")
        first = pair[0]
        if not isinstance(first, Tensor):
            raise InputError(
                f"data: inputs must be tensors, got {type(first).__name__}; images need a transform such as ToTensor."
            )
        self.pairs, self.shape = pairs, tuple(first.shape)
        self.box = (0.0, 1.0) if first.ndim == 3 else None
        names = getattr(pairs, "classes", None)
        if num_classes is not None or names is None:
            names = range(num_classes or 1 + max(int(pairs[i][1]) for i in range(len(pairs))))
        self.classes = tuple(str(each) for each in names)

    def __len__(self) -> int:
        return len(self.pairs)

    def batches(
        self,
        plan: Iterable[Tensor],
        *,
        device: torch.device | str = "cpu",
        num_workers: int = 0,
        augmentation_seed: int | None = None,  # noqa: ARG002
    ) -> Iterator[Sample]:
        """Fetch the pairs; augmentation is the data set's own affair."""
        numbers = list(plan)
        lists = [each.tolist() for each in numbers]
        loader = DataLoader(self.pairs, batch_sampler=lists, num_workers=num_workers)  # type: ignore[arg-type]
        for index, (x, y) in zip(numbers, loader, strict=True):
            x = x.to(device)
            x = to_unit(x) if x.dtype == torch.uint8 else x.float()
            if self.box is not None and not (x.min() >= 0 and x.max() <= 1):
                raise InputError(
                    f"data: images must lie in [0, 1], got values from {x.min():.3g} to {x.max():.3g}; "
                    "normalisation belongs inside the model."
                )
            if y.ndim != 1 or y.is_floating_point():
                raise InputError(
                    f"data: labels must be whole numbers, one per sample, got {y.dtype} of shape {tuple(y.shape)}."
                )
            check_labels(y, len(self.classes))
            yield Sample(x, y.long().to(device), index.to(device))
