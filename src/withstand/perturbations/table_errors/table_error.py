"""TableError: the base of the errors in entries of a table."""

from abc import abstractmethod
from dataclasses import dataclass
from math import isinf
from typing import ClassVar, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from withstand.data.space import Space
from withstand.data.tables.features import Features
from withstand.errors import InputError, nearest
from withstand.functional.precision import in_double
from withstand.functional.random import Rng
from withstand.functional.tensors import Points, Targets
from withstand.limits import Probability
from withstand.perturbations.base import Draws, Perturbation

Copies = Float[Tensor, "draw batch feature"]
Entries = Float[Tensor, "draw batch input"]
Numbers = Float[Tensor, "draw batch number"]


class Cells(NamedTuple):
    """The entries of a column.

    Attributes:
        name: The column.
        numbers: Its inputs that are numbers: one, or none of a category.
        levels: Its other inputs: the levels of a category, or the mark of empty cells.
    """

    name: str
    numbers: tuple[int, ...]
    levels: tuple[int, ...]

    @property
    def inputs(self) -> tuple[int, ...]:
        """All inputs of the column."""
        return (*self.numbers, *self.levels)


@dataclass(frozen=True, kw_only=True)
class TableError(Perturbation):
    """Errors in some entries of the rows of a table; other entries do not change.

    Errors happen in every column, also in those that other perturbations may not change. A category is changed as a
    whole.

    Attributes:
        tables_only: Whether inputs must be rows of a table.
        needs: What columns must hold.
        fewest: Smallest number of such columns.
        probability: Probability that an entry is wrong, independently, in [0, 1].
        columns: Columns with errors; None means all to which the error applies.
    """

    operations: ClassVar = frozenset({"entries"})

    tables_only: ClassVar[bool] = True
    needs: ClassVar[str] = "numbers"
    fewest: ClassVar[int] = 1
    probability: Probability = 0.05
    columns: tuple[str, ...] | None = None

    @classmethod
    def applies_to(cls, cells: Cells) -> bool:
        """Return whether the error may happen in a column; by default in one of numbers."""
        return bool(cells.numbers)

    @abstractmethod
    def put(self, copies: Copies, chosen: tuple[Cells, ...], features: Features, rng: Rng) -> None:
        """Put errors into copies of rows, in place.

        Args:
            copies: The copies.
            chosen: The columns with errors.
            features: The features of the table.
            rng: Source of randomness, for numbers with the batch in front.
        """

    def check(self, space: Space) -> None:
        """Reject data without features, and columns to which the error does not apply."""
        super().check(space)
        who, known = type(self).__name__, cells_of(features_of(self, space))
        for name in self.columns or ():
            found = [each for each in known if each.name == name]
            if not found:
                raise InputError(f"{who}: columns name {name!r}; {nearest(name, [each.name for each in known])}")
            if not self.applies_to(found[0]):
                raise InputError(f"{who}: columns must hold {self.needs}, got {name!r}.")
        if len(self.chosen(known)) < self.fewest:
            number = "a column" if self.fewest == 1 else f"{self.fewest} columns"
            raise InputError(f"{who}: expected a table with {number} of {self.needs}, got {len(self.chosen(known))}.")

    def chosen(self, known: tuple[Cells, ...]) -> tuple[Cells, ...]:
        """Return the columns with errors."""
        return tuple(
            each for each in known if self.applies_to(each) and (self.columns is None or each.name in self.columns)
        )

    def draw(self, x: Points, y: Targets, model: nn.Module, *, space: Space, num_draws: int, rng: Rng) -> Draws:
        """Put errors into copies of the rows."""
        self.check(space)
        features = features_of(self, space)
        copies = x.detach().repeat(num_draws, 1, 1)
        self.put(copies, self.chosen(cells_of(features)), features, rng)
        return Draws(space.clip(copies))


def features_of(error: Perturbation, space: Space) -> Features:
    """Return the features of a table.

    Raises:
        InputError: If the inputs are not rows of a table.
    """
    if space.features is None or len(space.shape) != 1:
        raise InputError(
            f"{type(error).__name__}: inputs must be rows of a table whose columns are known, got shape {space.shape}; "
            "use it on a data set such as table."
        )
    return space.features


def cells_of(features: Features) -> tuple[Cells, ...]:
    """Return the columns of a table, in order, without those that are constant in training."""
    found: dict[str, tuple[list[int], list[int]]] = {}
    for number, (name, kind) in enumerate(zip(features.columns, features.kinds, strict=True)):
        if isinf(features.scale[number]):
            continue
        found.setdefault(name, ([], []))[kind == "category"].append(number)
    return tuple(Cells(name, tuple(numbers), tuple(levels)) for name, (numbers, levels) in found.items())


def raw(x: Copies, number: int, features: Features) -> Float[Tensor, "draw batch"]:
    """Return a column of numbers in the units of the file, in float64, where needed on the CPU."""
    return in_double(x[..., number]) * features.scale[number] + features.offset[number]


def scaled(
    values: Float[Tensor, "draw batch"], number: int, features: Features, like: Copies
) -> Float[Tensor, "draw batch"]:
    """Return numbers in the units of the file as inputs like others, clipped to float32."""
    most = torch.finfo(torch.float32).max
    return values.sub(features.offset[number]).div(features.scale[number]).clamp(-most, most).to(like)
