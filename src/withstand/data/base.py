"""Dataset: a source of samples. Split: the samples of one part, fetched in batches."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Literal, get_args

import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor

from withstand.configuration import Configuration, check_final
from withstand.data.corrupted.cells import Gap
from withstand.data.sample import Sample
from withstand.data.space import Space
from withstand.data.tables.features import Features
from withstand.errors import InputError
from withstand.functional.random import stream

Part = Literal["train", "validation", "test"]


class Split(ABC):
    """The samples of one part of a data set.

    Attributes:
        classes: Names of the classes, in the order of the labels.
        shape: Shape of one input: (channel, height, width), or (feature,).
        box: Lowest and highest value an input can have: (0, 1) for images, None for tables.
        features: Statistics and kinds of the columns of a table, from its training part; None for images.
        numbers: The number that batches yield for each sample, in the order of the split; None where it is its place.
    """

    classes: tuple[str, ...]
    shape: tuple[int, ...]
    box: tuple[float, float] | None
    features: Features | None = None
    numbers: Tensor | None = None

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        check_final(cls)

    @property
    def space(self) -> Space:
        """The input space, passed to perturbations and evaluations."""
        return Space(shape=self.shape, box=self.box, features=self.features)

    def identifiers(self) -> Mapping[int, str] | None:
        """Return a name per sample (for example the path of its file), by its number in batches.

        Returns:
            An entry for every sample, at least; None where a sample has only its number. The numbers of a part that was
            cut from a longer list are those of the list, so they need not begin at 0 or follow each other.
        """
        return None

    @abstractmethod
    def __len__(self) -> int:
        """Return the number of samples."""

    @abstractmethod
    def batches(
        self,
        plan: Iterable[Int[Tensor, " batch"]],
        *,
        device: torch.device | str = "cpu",
        num_workers: int = 0,
        augmentation_seed: int | None = None,
    ) -> Iterator[Sample]:
        """Yield the batches of a plan, in its order.

        Args:
            plan: For every batch the numbers of its samples.
            device: Where the batches are wanted.
            num_workers: Processes that decode files; data in memory needs none.
            augmentation_seed: Seed of the random augmentation that belongs to the data (a sample's
                augmentation depends on it and on the sample's number only); None means none is done.
        """


class TensorSplit(Split):
    """Samples held in memory, uint8 images or float features, and indexed as tensors on the device."""

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
        weight: Tensor | None = None,
    ) -> None:
        """Keep the samples.

        Args:
            x: One input per row; uint8 is divided by 255 when fetched.
            y: One label per row; or numbers, the targets of a regression.
            classes: Names of the classes; of the only output, for a regression.
            box: Lowest and highest value an input can have, after the division; None for no bounds.
            numbers: Number of each sample in the file it came from, if these are only some of them.
            augment: The random augmentation: from inputs, their numbers and the augmentation seed.
            features: Statistics and kinds of the columns of a table.
            weight: Factor of each row's loss in training, at least 0; None means 1.

        Raises:
            InputError: If a label has no class, or an input is not finite.
        """
        if not y.is_floating_point():
            check_labels(y, len(classes))
            y = y.long()
        check_finite(x, range(len(x)) if numbers is None else numbers)
        self.x, self.y, self.classes, self.box, self.weight = x, y, classes, box, weight
        numbers = torch.arange(len(x)) if numbers is None else numbers
        if len(numbers.unique()) < len(numbers) or (numbers < 0).any():
            raise InputError("data: numbers of samples must be at least 0 and differ from each other.")
        self.numbers: Tensor = numbers  # pyright: ignore[reportIncompatibleVariableOverride]
        self.shape = tuple(x.shape[1:])
        self.augment, self.features = augment, features

    def __len__(self) -> int:
        return len(self.x)

    def select(self, rows: Tensor) -> "TensorSplit":
        """Return the split with only these rows."""
        return TensorSplit(
            self.x[rows],
            self.y[rows],
            classes=self.classes,
            box=self.box,
            numbers=self.numbers[rows],
            augment=self.augment,
            features=self.features,
            weight=None if self.weight is None else self.weight[rows],
        )

    def batches(
        self,
        plan: Iterable[Tensor],
        *,
        device: torch.device | str = "cpu",
        num_workers: int = 0,
        augmentation_seed: int | None = None,
    ) -> Iterator[Sample]:
        """Index the tensors; they move to the device once."""
        x, y, numbers, weight = self._on(str(torch.device(device)))
        for rows in plan:
            rows = rows.to(x.device)
            chosen = x[rows]
            if augmentation_seed is not None and self.augment is not None:
                chosen = self.augment(chosen, numbers[rows], augmentation_seed)
            chosen = to_unit(chosen) if chosen.dtype == torch.uint8 else chosen
            yield Sample(chosen, y[rows], numbers[rows], None if weight is None else weight[rows])

    def _on(self, device: str) -> Sample:
        if device not in self._copies:
            held = Sample(self.x, self.y, self.numbers, self.weight)
            self._copies[device] = held.map(lambda each: each.to(device))
        return self._copies[device]

    @cached_property
    def _copies(self) -> dict[str, Sample]:
        return {}


class Dataset(Configuration, ABC):
    """A source of samples: a frozen keyword-only dataclass whose fields name files and parts.

    Every data set has the parts `train`, `validation` and `test`. Where the source has no validation part it
    is cut from the training part, the same for every seed of an experiment.
    """

    @abstractmethod
    def load(self, part: Part) -> Split:
        """Return one part.

        Raises:
            InputError: If files are missing or cannot be used; the message names the file.
        """

    def cells(self) -> dict[str, "Dataset"]:
        """Return one data set per condition, for data that are corrupted already; empty by default.

        Returns:
            By condition as in rows, in the published order: `clean`, where there are clean images, then corruption and
            severity: `fog/3`, or `fog+jpeg/3` where the corrupted images were saved as JPEG files. Each is a test part.

        Raises:
            InputError: If such data have no cell, or none that the fields ask for.
        """
        return {}

    def missing(self) -> list[Gap]:
        """Return the cells of the benchmark that are absent or partial, for data that are corrupted already.

        Returns:
            Of the 15 corruptions, and of the others of which there is a cell. A partial cell is among `cells`, too.
        """
        return []

    @classmethod
    def examples(cls) -> list["Dataset"]:
        """Return instances that need no files, on which the contract tests run; none by default."""
        return []


def to_unit(x: UInt8[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """Return uint8 values k as the float32 nearest to k / 255, on every device.

    Example:
        >>> to_unit(torch.tensor([0, 51, 255], dtype=torch.uint8))
        tensor([0.0000, 0.2000, 1.0000])
    """
    # A tensor, not a number: CUDA would multiply by the number's reciprocal, which is not always the same.
    return x.float().div_(torch.full((), 255.0, device=x.device))


def cut(y: Tensor, *, validation: float, test: float = 0.0) -> dict[Part, Tensor]:
    """Cut samples at random, class by class, into training, validation and test rows; always the same.

    Args:
        y: One label per row.
        validation: Share of the rows for validation, 0 <= share < 1.
        test: Share of the rows for testing; 0 if the source has a test part of its own.

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
    """Reject shares of a data set that leave nothing for training.

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


def check_labels(y: Tensor, num_classes: int) -> None:
    """Reject labels without a class.

    Raises:
        InputError: If a label is outside 0, ..., num_classes - 1.
    """
    wrong = y[(y < 0) | (y >= num_classes)]
    if len(wrong):
        raise InputError(f"data: labels must be 0 to {num_classes - 1}, got {int(wrong[0])}.")


def check_finite(x: Tensor, numbers: Sequence[int] | Tensor) -> None:
    """Reject inputs that are NaN or infinite; the message names the sample.

    Args:
        x: One input per row.
        numbers: Number of each sample.

    Raises:
        InputError: If a number is not finite.
    """
    if not x.is_floating_point() or x.isfinite().all():
        return
    row = int((~x.isfinite()).flatten(1).any(1).nonzero()[0])
    what = "NaN" if x[row].isnan().any() else "an infinity"
    raise InputError(f"data: inputs must be finite numbers, got {what} in sample {int(numbers[row])}.")
