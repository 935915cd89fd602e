"""Vertices of a ball."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from withstand.data.space import Space
from withstand.errors import InputError
from withstand.functional import changes
from withstand.functional.random import Rng, uniform
from withstand.functional.tensors import Points, Targets
from withstand.perturbations.ball import Ball
from withstand.perturbations.base import Draws, Perturbation

MOST_FEATURES = 16


@dataclass(frozen=True, kw_only=True)
class Vertices(Perturbation):
    """Vertices of an linf or l1 ball in random order, without replacement.

    Vertices repeat only after all of them are drawn. A loss that is convex in the input has its maximum at a vertex.
    With d moving features, an linf ball has 2^d vertices (d up to 16) and an l1 ball 2 d; each is combined with all
    options of discrete inputs.

    Attributes:
        ball: The norm (`linf` or `l1`), radius and box.
    """

    operations: ClassVar = frozenset({"noise"})

    ball: Ball = Ball()

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.ball.norm == "l2":
            raise InputError("Vertices: the ball must be linf or l1, got l2, which has none.")

    def count(self, x: Points, *, space: Space) -> int:
        """Return the number of vertices around each of these inputs; a ball of radius 0 has one.

        Raises:
            InputError: If there are more than 65,536 with all combinations of options, or an linf ball moves more than
                16 features.
        """
        if not space.changes:
            return self._count_corners(x, space)
        count = self._count_corners(x, space) * changes.count(space.changes)
        if count > 2**MOST_FEATURES:
            raise InputError(
                f"Vertices: the ball has {count:,} vertices with all combinations of options; "
                f"at most {2**MOST_FEATURES:,} can be tried."
            )
        return count

    def _count_corners(self, x: Tensor, space: Space) -> int:
        moving = self._moving(x, space)
        return 2 ** len(moving) if self.ball.norm == "linf" else max(1, 2 * len(moving))

    def draw(self, x: Points, y: Targets, model: nn.Module, *, space: Space, num_draws: int, rng: Rng) -> Draws:
        """Take the first vertices of a random order per row."""
        x, moving, length = x.detach(), self._moving(x, space), x.shape[1:].numel()
        count, corners = self.count(x, space=space), self._count_corners(x, space)
        if count == 1 or len(x) == 0:
            return Draws(x.expand(num_draws, *x.shape).clone())
        order = uniform((len(x), count), rng=rng, device=x.device).argsort(1)
        number = order[:, torch.arange(num_draws, device=x.device) % count].T
        number, combination = number % corners, number // corners
        units = torch.zeros(num_draws, len(x), length, device=x.device, dtype=x.dtype)
        if self.ball.norm == "linf":
            bits = number.unsqueeze(2) >> torch.arange(len(moving), device=x.device)
            units[..., moving] = ((bits & 1) * 2 - 1).to(x.dtype)
        elif len(moving):
            sign = ((number & 1) * 2 - 1).to(x.dtype)
            units.scatter_(2, moving[number >> 1].unsqueeze(2), sign.unsqueeze(2))
        points = space.clip(x + units.view(num_draws, *x.shape) * self.ball.radii(x, space=space))
        for each in self.ball.options(x, space=space):
            each.put(points, combination % each.num)
            combination = combination // each.num
        return Draws(self.ball.repaired(x, points, space=space))

    def _moving(self, x: Tensor, space: Space) -> Tensor:
        """Return the numbers of the features that move in any row."""
        radii, length = self.ball.radii(x, space=space), x.shape[1:].numel()
        if isinstance(radii, Tensor):
            moving = (radii.reshape(-1, length) > 0).any(0).nonzero()[:, 0]
        else:
            moving = torch.arange(length if radii > 0 else 0, device=x.device)
        if self.ball.norm == "linf" and len(moving) > MOST_FEATURES:
            raise InputError(
                f"Vertices: an linf ball in {len(moving)} features has 2^{len(moving)} vertices; "
                f"at most {MOST_FEATURES} features may move."
            )
        return moving

    @classmethod
    def examples(cls) -> list[Perturbation]:
        """l1 balls, which have few vertices in many dimensions."""
        return [cls(ball=Ball("l1", 1.0)), cls(ball=Ball("l1", 0.5))]
