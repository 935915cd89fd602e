"""Missing values."""

from dataclasses import dataclass

from withstand.data.tables.features import Features
from withstand.perturbations.base import Perturbation
from withstand.perturbations.table_errors.entry_error import EntryError
from withstand.perturbations.table_errors.table_error import Cells, Copies, Entries, Numbers


@dataclass(frozen=True, kw_only=True)
class MissingValues(EntryError):
    """Entries are empty, and filled as the data fill empty cells.

    A number becomes the median of the training part, and a category its most frequent level; with `--data.missing own`,
    columns that have empty cells in training get the level `(empty)`, or the mark of empty cells.

    Attributes:
        probability: Probability that an entry is missing, independently, in [0, 1].

    Source:
        Missing completely at random: Rubin 1976, Biometrika 63 (3), 581-592.
    """

    @classmethod
    def applies_to(cls, cells: Cells) -> bool:
        """Return True: any entry may be missing."""
        return bool(cells.inputs)

    def wrong(self, copies: Copies, cells: Cells, numbers: Numbers, features: Features) -> Entries:
        """Fill the entries."""
        typical = features.typical or (0.0,) * len(features.names)
        filled = copies.new_tensor([typical[each] for each in cells.inputs])
        return filled.expand(*copies.shape[:2], -1)

    @classmethod
    def examples(cls) -> list[Perturbation]:
        """Some and half of the entries."""
        return [cls(probability=0.3), cls(probability=0.5)]
