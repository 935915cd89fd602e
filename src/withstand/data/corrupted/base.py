"""CorruptedDataset: already corrupted images, one test part per corruption and severity."""

from abc import abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

from annotated_types import Ge, Le

from withstand.conditions import CLEAN, CORRUPTIONS, Cell
from withstand.data.base import Dataset, Part, Split, check_part
from withstand.data.corrupted.cells import is_selected
from withstand.errors import InputError, brief, nearest
from withstand.limits import Within
from withstand.reading.addresses import Address


@dataclass(frozen=True, kw_only=True)
class CorruptedDataset(Dataset):
    """Images that are already corrupted; each cell (a corruption at one severity) is a test part.

    Attributes:
        root: Folder of the files.
        corruption: A published name such as `fog`; None selects all.
        severity: 1 to 5; None selects all.
    """

    root: str | None
    corruption: str | None = None
    severity: Annotated[int, Within(Ge(1), Le(5))] | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check_cell()

    def _check_cell(self) -> None:
        if self.corruption == CLEAN:
            raise InputError(f"{self.who}: corruption {CLEAN} needs the field clean, and no severity.")
        if self.corruption is not None and self.corruption not in CORRUPTIONS:
            hint = nearest(str(self.corruption), CORRUPTIONS)
            raise InputError(f"{self.who}: corruption {brief(self.corruption)} is not known; {hint}")

    @property
    def who(self) -> str:
        """Name of the data set, for messages."""
        return type(self).__name__

    def load(self, part: Part) -> Split:
        """Return the images of the selected cell."""
        check_part(self.who, part)
        if part != "test":
            raise InputError(
                f"{self.who}: corrupted images are a test part only, got the part {part!r}; train on clean images."
            )
        if self.corruption is None or self.severity is None:
            raise InputError(
                f"{self.who}: one cell at a time is read; name its corruption (--data.corruption fog) "
                "and its severity (--data.severity 3)."
            )
        return self._load_cell(self.corruption, self.severity)

    def cells(self) -> dict[str, Dataset]:
        """Return the selected cells by condition."""
        cells = [cell for cell in self._list_cells() if is_selected(cell, self.corruption, self.severity)]
        if not cells:
            wanted = f"{self.corruption or 'severity'} {self.severity or ''}".rstrip()
            raise InputError(f"{self.who}: {self._folder()} holds corrupted images, but none of {wanted}.")
        return {cell.condition: self._select(cell) for cell in cells}

    def _select(self, cell: Cell) -> Dataset:
        return replace(self, corruption=cell.corruption, severity=cell.severity)

    @abstractmethod
    def _folder(self) -> Path | Address:
        """Return the folder of the files."""

    @abstractmethod
    def _list_cells(self) -> Iterable[Cell]:
        """Return all cells in the published order."""

    @abstractmethod
    def _load_cell(self, corruption: str, severity: int) -> Split:
        """Return the images of a cell."""
