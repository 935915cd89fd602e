"""Attack that tries points drawn by a perturbation."""

from dataclasses import dataclass, replace

from withstand.functional.random import RowStreams
from withstand.limits import PositiveInt
from withstand.perturbations.attacks.attack import Attack
from withstand.perturbations.ball import Ball
from withstand.perturbations.base import Perturbation
from withstand.perturbations.search.frame import Place
from withstand.perturbations.search.target import Target
from withstand.perturbations.uniform import Uniform

POINTS_AT_ONCE = 16384


@dataclass(frozen=True, kw_only=True)
class Sampled(Attack):
    """Attack that tries points of the ball drawn by a perturbation, such as `Vertices`, `Uniform` or `PGD`.

    Attributes:
        perturbation: Draws the points.
        num_draws: Points per row, at least 1.
    """

    perturbation: Perturbation = Uniform()
    num_draws: PositiveInt = 64

    @property
    def needs_gradient(self) -> bool:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Whether the perturbation follows gradients."""
        return bool(self.perturbation.gradient_balls)

    def within(self, ball: Ball) -> "Sampled":
        """Return the attack with points of another ball."""
        return replace(self, ball=ball, perturbation=replace(self.perturbation, ball=ball))  # type: ignore[call-overload]

    def search(self, target: Target, *, rng: RowStreams) -> None:
        """Try all points of the rows that were not broken before."""
        space = target.frame.space
        for rows in target.rows.split(max(1, POINTS_AT_ONCE // self.num_draws)):
            if len(rows) == 0:  # an empty tensor splits into one empty part
                return
            frame = target.frame.rows(rows)
            ball = self.ball.of_rows(rows)
            own = self if ball is self.ball else self.within(ball)
            draws = own.perturbation.draw(
                frame.x, target.y[rows], target.model, space=space, num_draws=self.num_draws, rng=rng.subset(rows)
            )
            for points in draws.inputs:
                place = frame.place_of(points)
                # Points on the surface lie outside the slightly smaller ball of attacks.
                target.logits(Place(frame.project(place.u), place.picks), rows)

    @classmethod
    def examples(cls) -> list[Perturbation]:
        """Uniform points of two balls."""
        return [cls(ball=ball, perturbation=Uniform(ball=ball), num_draws=3) for ball in (Ball(), Ball("l2", 0.5))]
