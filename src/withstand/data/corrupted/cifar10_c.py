"""Cifar10C: the published arrays of CIFAR-10-C."""

from dataclasses import dataclass
from pathlib import Path

from withstand.data.corrupted.cells_in_arrays import CellsInArrays
from withstand.data.images.cifar10 import CLASSES
from withstand.reading.addresses import Address


@dataclass(frozen=True, kw_only=True)
class Cifar10C(CellsInArrays):
    """Corrupted test images of CIFAR-10, one cell per corruption and severity; lossless.

    Attributes:
        root: Folder that holds `<corruption>.npy` and `labels.npy`, which may also be in `CIFAR-10-C/` or `cifar10-c/`;
            None takes `$WITHSTAND_DATA`.
        corruption: A published name such as `fog`; None selects all.
        severity: 1 to 5; None selects all.

    Source:
        Hendrycks, Dietterich 2019, arXiv 1903.12261; zenodo.org/records/2535967.
    """

    root: str | None = None

    def _folder(self) -> Path | Address:
        return self._find("CIFAR-10-C", "cifar10-c", ".")

    def _classes(self, largest: int) -> tuple[str, ...]:
        return CLASSES
