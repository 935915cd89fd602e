"""CorruptedArrays: your own images, corrupted already, in the layout of CIFAR-10-C."""

from dataclasses import dataclass, replace
from pathlib import Path

from withstand.data.base import Dataset, Part
from withstand.data.corrupted.cells import Gap, check_cell
from withstand.data.corrupted.corrupted_stack import CorruptedStack
from withstand.data.images.array_split import ArraySplit
from withstand.data.images.class_map import check_num_classes


@dataclass(frozen=True, kw_only=True)
class CorruptedArrays(Dataset):
    """Corrupted images in `root/<corruption>.npy`, a data set per corruption and severity.

    An array is uint8 (5 n, height, width, channels): severity 1 first, n images each. `labels.npy` holds n or 5 n
    numbers. The classes are named in `classes.json`, a list, and without it by their numbers.

    Attributes:
        root: The folder.
        corruption: A published name such as `fog`; None is all.
        severity: 1 to 5; None is all.
        num_classes: Number of classes, at least 2; None takes the names in `classes.json`, or the highest label + 1.
    """

    root: str
    corruption: str | None = None
    severity: int | None = None
    num_classes: int | None = None

    def __post_init__(self) -> None:
        check_cell("CorruptedArrays", self.corruption, self.severity)
        check_num_classes("CorruptedArrays", self.num_classes)

    def load(self, part: Part) -> ArraySplit:
        """Open the array of the selected cell."""
        return self._stack().load(part)

    def cells(self) -> dict[str, Dataset]:
        """Look for the arrays of all corruptions."""
        found = self._stack().cells().items()
        return {name: replace(self, corruption=cell.corruption, severity=cell.severity) for name, cell in found}

    def missing(self) -> list[Gap]:
        """Return the missing cells."""
        return self._stack().missing()

    def _stack(self) -> CorruptedStack:
        return CorruptedStack(
            who="CorruptedArrays",
            folder=Path(self.root).expanduser(),
            corruption=self.corruption,
            severity=self.severity,
            classes=None,
            num_classes=self.num_classes,
        )
