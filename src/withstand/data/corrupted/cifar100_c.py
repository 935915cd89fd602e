"""Cifar100C: the published arrays of CIFAR-100-C."""

from dataclasses import dataclass
from pathlib import Path

from withstand.data.corrupted.cells_in_arrays import CellsInArrays
from withstand.data.images.cifar100 import CLASSES
from withstand.reading.addresses import Address


@dataclass(frozen=True, kw_only=True)
class Cifar100C(CellsInArrays):
    """Corrupted test images of CIFAR-100, one cell per corruption and severity; lossless.

    Attributes:
        root: Folder that holds `<corruption>.npy` and `labels.npy`, which may also be in `CIFAR-100-C/` or
            `cifar100-c/`; None takes `$WITHSTAND_DATA`.
        corruption: A published name such as `fog`; None selects all.
        severity: 1 to 5; None selects all.

    Source:
        Hendrycks, Dietterich 2019, arXiv 1903.12261; zenodo.org/records/3555552.
    """

    root: str | None = None

    def _folder(self) -> Path | Address:
        return self._find("CIFAR-100-C", "cifar100-c", ".")

    def _classes(self, largest: int) -> tuple[str, ...]:
        return CLASSES
