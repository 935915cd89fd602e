"""Fully connected networks."""

from dataclasses import dataclass
from itertools import pairwise
from math import prod

from torch import nn

from withstand.limits import PositiveInt
from withstand.models.base import Model
from withstand.models.normalize import Normalize


@dataclass(frozen=True, kw_only=True)
class MLP(Model):
    """Linear layers with ReLU between them.

    Attributes:
        hidden: Width of each hidden layer.

    Source:
        The default, 200 and 200, is the network of the Avila study (Piat, Fadili, Jurie, da Veiga).
    """

    hidden: tuple[PositiveInt, ...] = (200, 200)

    def make(self, shape: tuple[int, ...], num_classes: int) -> tuple[Normalize, nn.Module]:
        """Build the network for inputs of any shape, which are flattened."""
        layers: list[nn.Module] = [nn.Flatten()] if len(shape) > 1 else []
        for before, after in pairwise((prod(shape), *self.hidden)):
            layers += [nn.Linear(before, after), nn.ReLU()]
        layers.append(nn.Linear((prod(shape), *self.hidden)[-1], num_classes))
        # Tables arrive scaled; images in [0, 1] are centred.
        return Normalize([0.5], [0.5]) if len(shape) == 3 else Normalize([0.0], [1.0]), nn.Sequential(*layers)

    @classmethod
    def examples(cls) -> list[tuple[Model, tuple[int, ...]]]:
        """For a table and for an image."""
        return [(cls(hidden=(16, 16)), (8,)), (cls(hidden=()), (1, 8, 8))]
