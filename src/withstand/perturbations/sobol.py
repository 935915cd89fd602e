"""Quasi-random draws from a ball."""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor, nn
from torch.quasirandom import SobolEngine

from withstand.data.space import Space
from withstand.errors import InputError
from withstand.functional.random import Rng
from withstand.functional.sobol import ball_from_cube, sobol
from withstand.functional.tensors import Points, Targets
from withstand.perturbations.ball import Ball
from withstand.perturbations.base import Draws, Perturbation


@dataclass(frozen=True, kw_only=True)
class Sobol(Perturbation):
    """Scrambled Sobol points in a ball: each is uniform, and together they are evenly spread; clipped to the box.

    Means, and smoothed losses at high temperature, converge much faster than with independent points. At low
    temperatures, they miss the worst points, as independent points do (see `Tilted`).

    Attributes:
        ball: The norm, radius and box.
    """

    operations: ClassVar = frozenset({"noise"})

    ball: Ball = Ball()

    def draw(self, x: Points, y: Targets, model: nn.Module, *, space: Space, num_draws: int, rng: Rng) -> Draws:
        """Shift a scrambled sequence at random, once per row."""
        x = x.detach()
        radii, length = self.ball.radii(x, space=space), max(1, x.shape[1:].numel())
        moving = (radii > 0).view(-1, length).any(0) if isinstance(radii, Tensor) else None
        features = length if moving is None else int(moving.sum())
        changing = self.ball.options(x, space=space)
        extent = features + (self.ball.norm != "linf") if features else 0
        dimension = extent + len(changing)
        if dimension == 0:
            return Draws(space.clip(x.expand(num_draws, *x.shape).clone()))
        if dimension > SobolEngine.MAXDIM:
            most = SobolEngine.MAXDIM - (dimension - features)
            raise InputError(f"Sobol: at most {most:,} features may move, got {features:,}; Uniform takes any number.")
        cube = sobol(len(x), dimension, num_draws=num_draws, rng=rng, device=x.device)
        own = None
        if moving is not None and isinstance(radii, Tensor) and radii.ndim == 2:
            # Rows whose fixed features differ.
            own = (radii > 0)[:, None, moving].float()
        units = x.new_zeros(len(x), num_draws, length)
        if features:
            units[..., slice(None) if moving is None else moving] = ball_from_cube(
                cube[..., :extent], self.ball.norm, moving=own
            ).to(x.dtype)
        points = space.clip(x + units.transpose(0, 1).reshape(num_draws, *x.shape) * radii)
        for number, each in enumerate(changing):
            each.put(points, (cube[..., extent + number].T * each.num).long())
        return Draws(self.ball.repaired(x, points, space=space))

    @classmethod
    def examples(cls) -> list[Perturbation]:
        """One ball of each norm."""
        return [cls(ball=Ball("linf", 0.1)), cls(ball=Ball("l2", 0.5)), cls(ball=Ball("l1", 1.0))]
