"""Cifar10C: the published arrays of CIFAR-10-C."""

from dataclasses import dataclass, replace

from withstand.data.base import Dataset, Part
from withstand.data.corrupted.cells import Gap, check_cell
from withstand.data.corrupted.corrupted_stack import LABELS, CorruptedStack
from withstand.data.images.array_split import ArraySplit
from withstand.data.images.cifar10 import CLASSES
from withstand.data.places import find

FOLDERS = ("CIFAR-10-C", "cifar10-c", ".")


@dataclass(frozen=True, kw_only=True)
class Cifar10C(Dataset):
    """Corrupted test images of CIFAR-10, a data set per corruption and severity; saved without loss.

    Attributes:
        root: Folder that holds `<corruption>.npy` and `labels.npy`, also within `CIFAR-10-C/` or `cifar10-c/`; None
            takes `$WITHSTAND_DATA`.
        corruption: A published name such as `fog`; None is all.
        severity: 1 to 5; None is all.

    Source:
        Hendrycks, Dietterich 2019, arXiv 1903.12261; zenodo.org/records/2535967.
    """

    root: str | None = None
    corruption: str | None = None
    severity: int | None = None

    def __post_init__(self) -> None:
        check_cell("Cifar10C", self.corruption, self.severity)

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
        places = (f"{folder}/{LABELS}".removeprefix("./") for folder in FOLDERS)
        return CorruptedStack(
            who="Cifar10C",
            folder=find(self.root, "Cifar10C", *places).parent,
            corruption=self.corruption,
            severity=self.severity,
            classes=CLASSES,
        )
