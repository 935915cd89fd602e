"""Swapped columns."""

from dataclasses import dataclass
from typing import ClassVar

import torch

from withstand.data.tables.features import Features
from withstand.functional.random import Rng, uniform
from withstand.perturbations.base import Perturbation
from withstand.perturbations.table_errors.table_error import Cells, Copies, TableError, raw, scaled


@dataclass(frozen=True, kw_only=True)
class SwappedColumns(TableError):
    """Two numbers of a row are in each other's column, as after a shifted line of a form.

    Attributes:
        probability: Probability that two numbers of a row are exchanged, in the units of the file, in [0, 1].
        columns: Columns of which two random ones are exchanged; None means all columns of numbers.

    Example:
        >>> SwappedColumns(columns=("height", "weight")).condition
        'SwappedColumns probability=0.05 columns=[height, weight]'
    """

    fewest: ClassVar[int] = 2

    def put(self, copies: Copies, chosen: tuple[Cells, ...], features: Features, rng: Rng) -> None:
        """Exchange two random columns of random rows."""
        inputs = [number for cells in chosen for number in cells.numbers]
        numbers = uniform((copies.shape[1], len(copies), 3), rng=rng, device=copies.device).movedim(1, 0)
        one = (numbers[..., 1] * len(inputs)).long().clamp(max=len(inputs) - 1)
        other = (numbers[..., 2] * (len(inputs) - 1)).long().clamp(max=len(inputs) - 2)
        pair = torch.stack([one, other + (other >= one)], dim=-1)
        values = torch.stack([raw(copies, number, features) for number in inputs], dim=-1)
        place = pair.to(values.device)
        values = values.scatter(-1, place, values.gather(-1, place.flip(-1)))
        changed = [scaled(values[..., k], number, features, copies) for k, number in enumerate(inputs)]
        changed = torch.stack(changed, dim=-1)
        moved = torch.zeros_like(changed, dtype=torch.bool).scatter(-1, pair, True)
        copies[..., inputs] = torch.where(moved & (numbers[..., :1] < self.probability), changed, copies[..., inputs])

    @classmethod
    def examples(cls) -> list[Perturbation]:
        """Some and half of the rows."""
        return [cls(probability=0.4), cls(probability=0.5)]
