"""Ball: the displacements that are allowed."""

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from withstand.errors import InputError
from withstand.functional import balls
from withstand.functional.random import Rng
from withstand.perturbations.base import Box, check_box, clip

Points = Float[Tensor, "batch *feature"]


@dataclass(frozen=True)
class Ball:
    """The points within a radius of each input, cut to the box.

    Attributes:
        norm: The norm that measures displacements.
        radius: At least 0, in input units (tables: standard deviations after scaling).
        box: Lowest and highest value of an input; None takes the data's own.

    Example:
        >>> import torch
        >>> ball = Ball("linf", 0.1, box=(0.0, 1.0))
        >>> ball.project(torch.tensor([[0.5, 0.0]]), torch.tensor([[0.9, -0.3]]))
        tensor([[0.6000, 0.0000]])
    """

    norm: balls.Norm = "linf"
    radius: float = 8 / 255
    box: Box | None = None

    def __post_init__(self) -> None:
        if self.norm not in ("l1", "l2", "linf"):
            raise InputError(f"Ball: norm must be l1, l2 or linf, got {self.norm}.")
        if not 0 <= self.radius < float("inf"):
            raise InputError(f"Ball: radius must be a number >= 0, got {self.radius}.")
        check_box("Ball", self.box)

    def project(self, x: Points, point: Points) -> Points:
        """Return points of the ball around x near the given ones.

        Cutting to the box afterwards keeps a point in the ball provided that x itself lies in the box. For linf the
        result is the nearest point of the ball within the box; for l1 and l2 it is a point of it.
        """
        return clip(x + balls.project(point - x, self.norm, self.radius), self.box)

    def sample(self, x: Points, *, rng: Rng) -> Points:
        """Return one point per row, uniform in the ball around x before the cut to the box."""
        shape = tuple(x.shape)
        return clip(x + balls.sample(shape, self.norm, self.radius, rng=rng, device=x.device), self.box)

    def uphill(self, gradient: Points) -> Points:
        """Return the step of length radius along which a linear function with this gradient grows most."""
        return self.radius * balls.uphill(gradient, self.norm)

    def distance(self, x: Points, point: Points) -> Float[Tensor, " batch"]:
        """Return how far each point is from x, in the ball's norm."""
        return balls.distance(point - x, self.norm)
