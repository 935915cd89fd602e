"""Samples in random order."""

from collections.abc import Iterator, Mapping

import torch

from withstand.data.base import Plan, Sample, Split
from withstand.functional.random import choice, stream
from withstand.functional.tensors import Device


class Shuffled(Split):
    """The samples of a split in an order drawn from a seed; each keeps its number.

    Example:
        >>> from withstand.data.images.digits import Digits
        >>> split = Digits().load("test")
        >>> number = next(Shuffled(split, seed=0).batches([torch.arange(3)]))[2]
        >>> number.equal(next(split.batches([torch.arange(3)]))[2])
        False
    """

    def __init__(self, split: Split, *, seed: int) -> None:
        """Draw the order."""
        self.split = split
        self.classes, self.shape, self.box = split.classes, split.shape, split.box
        self.features, self.rules, self.notes = split.features, split.rules, split.notes
        self.order = torch.tensor(choice(len(split), len(split), rng=stream(seed, "shuffled")), dtype=torch.int64)
        self.numbers = self.order if split.numbers is None else split.numbers[self.order.to(split.numbers.device)]

    def identifiers(self) -> Mapping[int, str] | None:
        """Return the names of the samples."""
        return self.split.identifiers()

    def __len__(self) -> int:
        """Return the number of samples."""
        return len(self.split)

    def batches(
        self, plan: Plan, *, device: Device = "cpu", num_workers: int = 0, augmentation_seed: int | None = None
    ) -> Iterator[Sample]:
        """Yield the batches of a plan."""
        own = [self.order[torch.as_tensor(rows).cpu()] for rows in plan]
        yield from self.split.batches(own, device=device, num_workers=num_workers, augmentation_seed=augmentation_seed)
