"""Space: shape and box of the inputs, and the features of a table."""

from dataclasses import dataclass

import torch
from torch import Tensor

from withstand.data.tables.features import Features
from withstand.data.tables.rules import Rules
from withstand.errors import InputError
from withstand.functional.changes import Change
from withstand.limits import NonNegativeInt, check_fields, checked

Box = tuple[float, float]


@dataclass(frozen=True, kw_only=True)
class Space:
    """The input space, passed to perturbations and evaluations.

    Attributes:
        shape: Shape of one input: (channel, height, width), or (feature,).
        box: Lowest and highest value of an input: (0, 1) for images; None for no bounds.
        features: Statistics and kinds of a table's columns, from its training part; None for other data.
        rules: What makes a row of a table legal; None for no rules. Perturbations draw legal points only.
        num_classes: Number of classes, for perturbations that mix labels; None if it is not known.
    """

    shape: tuple[NonNegativeInt, ...]
    box: Box | None = None
    features: Features | None = None
    rules: Rules | None = None
    num_classes: NonNegativeInt | None = None

    def __post_init__(self) -> None:
        check_fields(self)
        if self.box is not None and not self.box[0] < self.box[1]:
            raise InputError(f"Space: box must be the lowest and the highest value, got {self.box}.")

    @property
    def changes(self) -> tuple[Change, ...]:
        """Discrete changes of inputs: levels of categories, and steps of whole numbers."""
        return () if self.features is None else self.features.changes

    @property
    def fixed(self) -> tuple[int, ...]:
        """Indices of the features that noise must not change."""
        movable = () if self.features is None else self.features.movable
        return tuple(number for number, moves in enumerate(movable) if not moves)

    def clip(self, x: Tensor) -> Tensor:
        """Return x clipped to the box, or x itself without one."""
        return x if self.box is None else x.clamp(*self.box)

    def hold(self, x: Tensor, copies: Tensor) -> Tensor:
        """Return copies (draw, *x.shape) of x, clipped to the box, with the fixed features of x, and legal if x is."""
        copies = self.clip(copies)
        if self.fixed:
            copies[..., self.fixed] = x[..., self.fixed]
        return copies if self.rules is None else torch.stack([self._repaired(x, each) for each in copies])

    def _repaired(self, x: Tensor, points: Tensor) -> Tensor:
        assert self.rules is not None
        stay = [number for number in self.fixed if number not in self.rules.derived]
        return self.rules.repair(x, points, lambda each: (each[:, stay] == x[:, stay]).all(1))

    @classmethod
    @checked
    def like(cls, x: Tensor, *, box: Box | None = None) -> "Space":
        """Return a space with the shape of a batch of inputs.

        Example:
            >>> import torch
            >>> Space.like(torch.zeros(4, 3, 8, 8), box=(0.0, 1.0)).shape
            (3, 8, 8)
        """
        return cls(shape=tuple(x.shape[1:]), box=box)
