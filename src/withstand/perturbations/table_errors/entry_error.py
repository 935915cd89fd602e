"""EntryError: the base of errors that hit single entries."""

from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import torch

from withstand.data.tables.features import Features
from withstand.functional.random import Rng, uniform
from withstand.perturbations.table_errors.table_error import Cells, Copies, Entries, Numbers, TableError


@dataclass(frozen=True, kw_only=True)
class EntryError(TableError):
    """Errors in single entries, independent of each other."""

    num_numbers: ClassVar[int] = 1

    @abstractmethod
    def wrong(self, copies: Copies, cells: Cells, numbers: Numbers, features: Features) -> Entries:
        """Return what the entries of a column become if they are wrong.

        Args:
            copies: The rows.
            cells: The column.
            numbers: `num_numbers` random numbers, uniform in [0, 1).
            features: The features of the table.
        """

    def put(self, copies: Copies, chosen: tuple[Cells, ...], features: Features, rng: Rng) -> None:
        """Replace random entries, column by column."""
        shape = (copies.shape[1], len(copies), len(chosen), 1 + self.num_numbers)
        numbers = uniform(shape, rng=rng, device=copies.device).movedim(1, 0)
        for cells, own in zip(chosen, numbers.unbind(2), strict=True):
            wrong = self.wrong(copies, cells, own[..., 1:], features)
            copies[..., cells.inputs] = torch.where(own[..., :1] < self.probability, wrong, copies[..., cells.inputs])
