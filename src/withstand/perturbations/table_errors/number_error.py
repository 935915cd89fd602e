"""NumberError: the base of errors that change one number into another."""

from abc import abstractmethod
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from withstand.data.tables.features import Features
from withstand.functional.precision import in_double
from withstand.perturbations.table_errors.entry_error import EntryError
from withstand.perturbations.table_errors.table_error import Cells, Copies, Entries, Numbers, raw, scaled


@dataclass(frozen=True, kw_only=True)
class NumberError(EntryError):
    """Errors that replace single numbers."""

    @abstractmethod
    def replaced(
        self, values: Float[Tensor, "draw batch"], numbers: Float[Tensor, "draw batch"], std: float
    ) -> Float[Tensor, "draw batch"]:
        """Return the wrong numbers, in the units of the file.

        Args:
            values: The right ones, in the units of the file.
            numbers: Random numbers, uniform in [0, 1).
            std: Standard deviation of the column in the units of the file; 1 if the data are not scaled.
        """

    def wrong(self, copies: Copies, cells: Cells, numbers: Numbers, features: Features) -> Entries:
        """Replace the number, and leave the mark of empty cells."""
        (own,) = cells.numbers
        values = self.replaced(raw(copies, own, features), in_double(numbers[..., 0]), features.scale[own])
        return torch.cat([scaled(values, own, features, copies).unsqueeze(-1), copies[..., cells.levels]], dim=-1)
