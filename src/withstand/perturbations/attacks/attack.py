"""Attack: base class of the searches for misclassified points."""

from abc import abstractmethod
from dataclasses import dataclass, replace
from typing import ClassVar, NamedTuple, final

import torch
from jaxtyping import Bool, Int
from torch import Tensor, nn

from withstand.data.space import Space
from withstand.errors import InputError
from withstand.functional.margins import is_wrong
from withstand.functional.random import Rng, RowStreams, by_row
from withstand.functional.tensors import Labels, PerRow, Points, Targets
from withstand.models.frozen import frozen
from withstand.models.wrappers.black_box import is_differentiable
from withstand.perturbations.ball import Ball
from withstand.perturbations.base import Draws, Perturbation
from withstand.perturbations.search.frame import Frame
from withstand.perturbations.search.target import Target


class Attacked(NamedTuple):
    """The result of an attack, per row.

    Attributes:
        points: The nearest misclassified point found in the ball, or else the point where another class trails least.
        success: Whether a misclassified point in the ball was found.
        distance: Distance of that misclassified point in radii (1 is the border of the ball), or its number of changed
            fields; infinity without success. An upper bound on the distance to the decision boundary, not a minimum.
            Minimum-norm attacks (`finds_distance`) also report wrong points outside of the ball, as more than 1.
        passes: Forward and backward passes spent on the row.
    """

    points: Points
    success: Bool[Tensor, " batch"]
    distance: PerRow
    passes: Int[Tensor, " batch"]


@dataclass(frozen=True, kw_only=True)
class Attack(Perturbation):
    """A search for a misclassified point in the ball around each row.

    A subclass implements `search` in radii (see `Frame`), so that norms, radii per feature, boxes, fixed columns and
    discrete changes need no special cases.

    Attributes:
        ball: The norm, radius and unit. Minimum-norm attacks (`finds_distance`) also search outside of the ball; its
            radius is their unit of distance.
        finds_distance: Whether it looks for the nearest wrong point, however far.
        counts_fields: Whether its distance is the number of changed fields (l0) of points in the ball.
    """

    operations: ClassVar = frozenset({"attack"})

    needs_model: ClassVar[bool] = True
    needs_gradient: ClassVar[bool] = True
    finds_distance: ClassVar[bool] = False
    counts_fields: ClassVar[bool] = False
    ball: Ball = Ball()

    @abstractmethod
    def search(self, target: Target, *, rng: RowStreams) -> None:
        """Search around the rows that are not broken yet (`target.rows`); the target keeps the points found.

        Args:
            target: The rows under attack.
            rng: One source per row of the target: rows draw from `rng.subset(rows)`.
        """

    def within(self, ball: Ball) -> "Attack":
        """Return the attack on another ball."""
        return replace(self, ball=ball)

    @final
    @torch.no_grad()
    def attack(self, x: Points, y: Labels, model: nn.Module, *, space: Space, rng: Rng) -> Attacked:
        """Attack a batch. Every success is confirmed by a separate forward pass.

        Args:
            x: Inputs.
            y: Labels.
            model: Maps inputs to logits.
            space: The input space.
            rng: Source of randomness: one for the batch, or one per row.

        Raises:
            InputError: If the attack needs gradients that the model does not have, or the ball does not fit the inputs.
        """
        if self.needs_gradient and not is_differentiable(model):
            raise InputError(f"{type(self).__name__}: needs gradients, which the model does not have.")
        target = Target(model, Frame(x.detach(), self.ball, space), y, counts_fields=self.counts_fields)
        with frozen(model):
            target.begin()
            self.search(target, rng=by_row(rng, len(x)))
            return checked(target, beyond=self.finds_distance)

    @final
    def draw(self, x: Points, y: Targets, model: nn.Module, *, space: Space, num_draws: int, rng: Rng) -> Draws:
        """Attack once per draw; rows that are not broken move to the point where another class trails least."""
        return Draws(torch.stack([self.attack(x, y, model, space=space, rng=rng).points for _ in range(num_draws)]))


def checked(target: Target, *, beyond: bool = False) -> Attacked:
    """Return the result for a target's rows; successes that another forward pass does not confirm are dropped.

    Args:
        target: The rows after the attack.
        beyond: Whether rows without success have the distance of the nearest wrong point outside of the ball.
    """
    frame, success = target.frame, target.is_broken.clone()
    points, rows = frame.points(target.found.where(success, target.highest)), success.nonzero()[:, 0]
    if len(rows):
        with torch.no_grad():
            success[rows] = is_wrong(target.model(points[rows]), target.y[rows])
    is_known = success | ~target.is_broken if beyond else success
    distance = torch.where(is_known, target.distance, torch.inf)
    return Attacked(points, success, distance, target.passes)
