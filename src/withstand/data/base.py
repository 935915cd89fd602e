"""Dataset, a source of samples, and Split, the samples of one part."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from copy import copy
from typing import Literal, get_args

import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor

from withstand.configuration import Configuration, check_final
from withstand.data.checks import as_plan, as_rows, check_finite, check_labels, check_plain
from withstand.data.corrupted.cells import Gap
from withstand.data.sample import Sample
from withstand.data.space import Space
from withstand.data.tables.features import Features
from withstand.data.tables.rules import Rules
from withstand.errors import InputError
from withstand.functional.random import stream
from withstand.functional.tensors import Device

Part = Literal["train", "validation", "test"]
Plan = Iterable[Int[Tensor, " batch"]]  # the rows of each batch


class Split(ABC):
    """The samples of one part of a data set.

    Attributes:
        classes: Names of the classes, by label.
        shape: Shape of one input: (channel, height, width), or (feature,).
        box: Lowest and highest value of an input: (0, 1) for images, None for tables.
        features: Statistics and kinds of a table's columns, from its training part; None for images.
        rules: What makes a row of a table legal; None for no rules.
        numbers: Number of each sample in batches, in the order of the split; None numbers them from 0.
        notes: Sentences on samples that were found and are left out, or whose values are filled in.
    """

    classes: tuple[str, ...]
    shape: tuple[int, ...]
    box: tuple[float, float] | None
    features: Features | None = None
    rules: Rules | None = None
    numbers: Tensor | None = None
    notes: tuple[str, ...] = ()

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        check_final(cls)

    @property
    def space(self) -> Space:
        """The input space, passed to perturbations and evaluations."""
        known = {"box": self.box, "features": self.features, "rules": self.rules}
        return Space(shape=self.shape, num_classes=len(self.classes), **known)

    def identifiers(self) -> Mapping[int, str] | None:
        """Return a name per sample (for example the path of its file), by its number in batches.

        Returns:
            At least one entry per sample, or None if samples have no names. If the part was split off from a longer
            list, numbers refer to that list, so they may start above 0 and have gaps.
        """
        return None

    @abstractmethod
    def __len__(self) -> int:
        """Return the number of samples."""

    @abstractmethod
    def batches(
        self, plan: Plan, *, device: Device = "cpu", num_workers: int = 0, augmentation_seed: int | None = None
    ) -> Iterator[Sample]:
        """Yield the batches of a plan, in order.

        Args:
            plan: The rows of each batch.
            device: Device of the batches.
            num_workers: Worker processes that decode files; not used for data in memory.
            augmentation_seed: Seed of the random augmentation, which depends only on this seed and the sample's number;
                None disables augmentation.
        """


class TensorSplit(Split):
    """Samples in memory, uint8 images or float features, indexed on the device."""

    def __init__(
        self,
        x: Tensor,
        y: Tensor,
        *,
        classes: tuple[str, ...],
        box: tuple[float, float] | None,
        numbers: Tensor | None = None,
        augment: Callable[[Tensor, Tensor, int], Tensor] | None = None,
        features: Features | None = None,
        rules: Rules | None = None,
        weight: Tensor | None = None,
        notes: tuple[str, ...] = (),
    ) -> None:
        """Keep the samples.

        Args:
            x: One input per row; uint8 is divided by 255 when fetched.
            y: One label per row, or the targets of a regression.
            classes: Names of the classes, or of the output of a regression.
            box: Lowest and highest value of an input after the division; None for no bounds.
            numbers: Number of each sample in its file; None numbers them from 0.
            augment: Random augmentation, a function of inputs, their numbers and the augmentation seed.
            features: Statistics and kinds of a table's columns.
            rules: What makes a row legal.
            weight: Factor of each row's loss in training, at least 0; None means 1.
            notes: Sentences for readers of results.

        Raises:
            InputError: If a label has no class, or an input is not finite.
        """
        for name, each in (("inputs", x), ("labels", y)):
            check_plain(f"data: {name}", each)
        if not y.is_floating_point():
            check_labels(y, len(classes))
            y = y.long()
        check_finite(x, range(len(x)) if numbers is None else numbers)
        self.x, self.y, self.classes, self.box, self.weight = x.contiguous(), y, classes, box, weight
        is_given = numbers is not None
        numbers = torch.arange(len(x)) if numbers is None else numbers
        if is_given and (len(numbers.unique()) < len(numbers) or (numbers < 0).any()):
            raise InputError("data: numbers of samples must be at least 0 and differ from each other.")
        self.numbers: Tensor = numbers  # pyright: ignore[reportIncompatibleVariableOverride]
        self.shape = tuple(x.shape[1:])
        self.augment, self.features, self.rules, self.notes = augment, features, rules, notes
        self._copies: dict[str, Sample] = {}  # by device

    def __len__(self) -> int:
        return len(self.x)

    def select(self, rows: Tensor | Sequence[int]) -> "TensorSplit":
        """Return the split with only these rows, such as `range(100)`."""
        rows = as_rows(rows, len(self))
        part = copy(self)
        part.x, part.y, part.numbers = self.x[rows], self.y[rows], self.numbers[rows]
        part.weight = None if self.weight is None else self.weight[rows]
        part._copies = {}
        return part

    def batches(
        self, plan: Plan, *, device: Device = "cpu", num_workers: int = 0, augmentation_seed: int | None = None
    ) -> Iterator[Sample]:
        """Index the tensors, which are copied to the device once."""
        x, y, numbers, weight = self._on(str(torch.device(device)))
        for rows in as_plan(plan, len(self), bounds=False):
            rows = rows.to(x.device)
            try:
                chosen = x.index_select(0, rows)
            except IndexError:
                as_rows(rows, len(self))  # says which
                raise
            if augmentation_seed is not None and self.augment is not None:
                chosen = self.augment(chosen, numbers[rows], augmentation_seed)
            chosen = to_unit(chosen) if chosen.dtype == torch.uint8 else chosen
            own = None if weight is None else weight.index_select(0, rows)
            yield Sample(chosen, y.index_select(0, rows), numbers.index_select(0, rows), own)

    def _on(self, device: str) -> Sample:
        if device not in self._copies:
            held = Sample(self.x, self.y, self.numbers, self.weight)
            self._copies[device] = held.map(lambda each: each.to(device))
        return self._copies[device]


class Dataset(Configuration, ABC):
    """A source of samples: a frozen keyword-only dataclass whose fields describe files and parts.

    Every data set has the parts `train`, `validation` and `test`. A missing validation part is split off from the
    training part, in the same way for every seed of an experiment.
    """

    @abstractmethod
    def load(self, part: Part) -> Split:
        """Return one part.

        Raises:
            InputError: If files are missing or cannot be used; the message names the file.
        """

    def cells(self) -> dict[str, "Dataset"]:
        """Return one data set per condition, for already corrupted data; empty by default.

        Returns:
            Test parts by condition, in the published order: `clean`, if there are clean images, then corruption and
            severity: `fog/3`, or `fog+jpeg/3` for images saved as JPEG files.

        Raises:
            InputError: If there is no cell, or none that the fields select.
        """
        return {}

    def missing(self) -> list[Gap]:
        """Return the missing or incomplete cells of the benchmark, for already corrupted data.

        Returns:
            Gaps among the 15 corruptions, and among other corruptions with at least one cell. `cells` includes
            incomplete cells.
        """
        return []

    @classmethod
    def examples(cls) -> list["Dataset"]:
        """Return instances that need no files, for the contract tests; none by default."""
        return []


def to_unit(x: UInt8[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """Return k / 255 of uint8 values k, rounded to the nearest float32 on every device.

    Example:
        >>> to_unit(torch.tensor([0, 51, 255], dtype=torch.uint8))
        tensor([0.0000, 0.2000, 1.0000])
    """
    # A tensor, not a number: CUDA multiplies by the reciprocal of a number, which can round differently.
    return x.float().div_(torch.full((), 255.0, device=x.device))


def cut(y: Tensor, *, validation: float, test: float = 0.0) -> dict[Part, Tensor]:
    """Cut rows at random, class by class, into training, validation and test; the cut is always the same.

    Args:
        y: One label per row.
        validation: Share for validation, 0 <= share < 1.
        test: Share for testing; 0 if the source has its own test part.

    Returns:
        The rows of each part, ascending.

    Example:
        >>> parts = cut(torch.tensor([0, 0, 0, 0, 1, 1, 1, 1]), validation=0.25, test=0.25)
        >>> [len(parts[name]) for name in ("train", "validation", "test")]
        [4, 2, 2]
    """
    check_shares("data", validation, test)
    generator = stream(0, "data/cut")
    rows: dict[Part, list[Tensor]] = {"train": [], "validation": [], "test": []}
    for label in y.unique().tolist():
        members = (y == label).nonzero()[:, 0]
        members = members[torch.randperm(len(members), generator=generator)]
        num_test, num_validation = round(test * len(members)), round(validation * len(members))
        rows["test"].append(members[:num_test])
        rows["validation"].append(members[num_test : num_test + num_validation])
        rows["train"].append(members[num_test + num_validation :])
    return {part: torch.cat(each).sort().values for part, each in rows.items()}


def check_shares(who: str, validation: float, test: float = 0.0) -> None:
    """Reject shares that leave nothing for training.

    Raises:
        InputError: If a share is negative or the two are not below 1 together.
    """
    if not (validation >= 0 and test >= 0 and validation + test < 1):
        raise InputError(
            f"{who}: validation and test must be shares >= 0 with a sum below 1, got {validation:g} and {test:g}."
        )


def check_part(who: str, part: str) -> None:
    """Reject an unknown part.

    Raises:
        InputError: If it is not `train`, `validation` or `test`.
    """
    if part not in get_args(Part):
        raise InputError(f"{who}: the part must be {', '.join(get_args(Part))}, got {part!r}.")
