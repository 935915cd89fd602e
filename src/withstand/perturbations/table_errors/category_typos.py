"""Typing errors in categories."""

from dataclasses import dataclass
from typing import ClassVar

import torch

from withstand.data.tables.features import Features
from withstand.limits import Probability
from withstand.perturbations.base import Perturbation
from withstand.perturbations.table_errors.entry_error import EntryError
from withstand.perturbations.table_errors.table_error import Cells, Copies, Entries, Numbers


@dataclass(frozen=True, kw_only=True)
class CategoryTypos(EntryError):
    """Categories are misspelt, so that they are unknown (all inputs 0), or become another level.

    Attributes:
        probability: Probability that an entry is wrong, independently, in [0, 1].
        unknown: Probability that a wrong entry is an unknown word, in [0, 1]; otherwise, it is one of the other levels
            with equal probability.
    """

    needs: ClassVar[str] = "categories"
    num_numbers: ClassVar[int] = 2
    unknown: Probability = 0.5

    @classmethod
    def applies_to(cls, cells: Cells) -> bool:
        """Return whether a column holds categories."""
        return not cells.numbers

    def wrong(self, copies: Copies, cells: Cells, numbers: Numbers, features: Features) -> Entries:
        """Draw an unknown word or another level."""
        present = copies[..., cells.levels]
        others = present.eq(0).sum(-1)
        place = torch.minimum((numbers[..., 1] * others).long(), others - 1).clamp(min=0)
        first = present.ne(0).long().argsort(dim=-1, stable=True)  # the other levels, then the present one
        drawn = torch.zeros_like(present).scatter(-1, first.gather(-1, place.unsqueeze(-1)), 1.0)
        is_unknown = (numbers[..., 0] < self.unknown) | (others == 0)
        return torch.where(is_unknown.unsqueeze(-1), 0.0, drawn)

    @classmethod
    def examples(cls) -> list[Perturbation]:
        """Both kinds, and other levels only."""
        return [cls(probability=0.4), cls(probability=0.5, unknown=0.0)]
