"""Decisions of a model over a plane of two features, and on its test points, as arrays."""

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from withstand.conditions import Norm


class Plane(NamedTuple):
    """A rectangle of two features, all numbers in the units of the table's file.

    Attributes:
        names: Names of the features.
        first: Grid of the first feature, ascending.
        second: Grid of the second one.
        scale: What a unit of the model's inputs is, per feature: its standard deviation, if the table is scaled, or 1.
    """

    names: tuple[str, str]
    first: np.ndarray
    second: np.ndarray
    scale: tuple[float, float]


class DrawnBall(NamedTuple):
    """The ball around every point that a worst case was looked for in.

    Attributes:
        where: In words, as in rows: `linf 0.1`.
        norm: Norm of displacements, each divided by its feature's radius.
        radii: Radii of the two features, in the units of the file; 0 for one that may not change.
        right: Whether no attack makes the model err, per point: (point,).
    """

    where: str
    norm: Norm
    radii: tuple[float, float]
    right: np.ndarray


@dataclass(frozen=True, kw_only=True, eq=False)
class Landscape:
    """The predictions of one model over a plane.

    Attributes:
        plane: Grid and units.
        classes: Names of the classes.
        predicted: Class with the highest logit: (second, first), one entry per point of the grid.
        confidence: Probability of that class (softmax), from 1 / number of classes to 1; of the same shape.
        margin: Difference between the highest and the second highest logit, in nats, at least 0; of the same shape.
        points: Some of the test points, at random, in the units of the file: (point, 2).
        labels: Their classes: (point,).
        right: Whether the model classifies them correctly: (point,).
        num_points: Number of points in the test part.
        ball: Ball that was searched for a worst case; None if there was no search.
    """

    plane: Plane
    classes: tuple[str, ...]
    predicted: np.ndarray
    confidence: np.ndarray
    margin: np.ndarray
    points: np.ndarray
    labels: np.ndarray
    right: np.ndarray
    num_points: int
    ball: DrawnBall | None = None

    def thinned(self, num_points: int) -> "Landscape":
        """Return the landscape with at most `num_points` of its points, evenly chosen."""
        chosen = np.linspace(0, len(self.points) - 1, min(num_points, len(self.points))).round().astype(int)
        return replace(
            self,
            points=self.points[chosen],
            labels=self.labels[chosen],
            right=self.right[chosen],
            ball=self.ball and self.ball._replace(right=self.ball.right[chosen]),
        )

    def is_beside(self, other: "Landscape") -> bool:
        """Return whether two landscapes show the same points, classes, plane and ball, so that they can be compared."""
        mine, others = self.ball and self.ball[:3], other.ball and other.ball[:3]
        return (
            (self.classes, self.plane.names, mine) == (other.classes, other.plane.names, others)
            and np.array_equal(self.points, other.points)
            and np.array_equal(self.labels, other.labels)
            and np.array_equal(self.plane.first, other.plane.first)
            and np.array_equal(self.plane.second, other.plane.second)
        )
