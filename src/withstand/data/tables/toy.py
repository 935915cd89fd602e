"""Toy: five random two-class problems in the plane."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Literal, NamedTuple, get_args

import torch
from annotated_types import Ge
from jaxtyping import Float, Int
from torch import Generator, Tensor

from withstand.data.base import Dataset, Part, TensorSplit, check_part, cut
from withstand.data.tables.features import fit_features
from withstand.errors import InputError
from withstand.functional.random import normal, stream, uniform
from withstand.limits import NonNegativeFloat, NonNegativeInt, Share, Within

Shape = Literal["two_gaussians", "doughnut", "two_moons", "saw", "mix"]
Points = Float[Tensor, "point 2"]
RADIUS = 2.0  # of the circle in the doughnut and the moons
MOON = (2.0, -1.0)  # shift of the upper half of the circle
CORNER = (1.0, 1.0)  # centre of the second Gaussian; the first is at the origin
BLOB = (1.5, 1.5)  # centre of the Gaussian above the saw, whose spread is three times the noise
TEETH = 3.0  # the saw goes up from 0 to 1, down, and up again, one per unit of width


@dataclass(frozen=True, kw_only=True)
class Toy(Dataset):
    """Two-class problems in the plane with slightly overlapping classes.

    | shape | class 0 | class 1 | noise | points for training, for testing |
    | --- | --- | --- | --- | --- |
    | `two_gaussians` | around (0, 0) | around (1, 1) | 0.5 | 1,000, 40 |
    | `doughnut` | around a circle of radius 2 | around its centre | 0.3 | 1,000, 300 |
    | `two_moons` | around the lower half of a circle | around the upper half, moved by (2, -1) | 0.2 | 2,000, 3,000 |
    | `saw` | around a line of three slopes | around the same, moved up by 1 | 0.05 | 2,000, 3,000 |
    | `mix` | around the line of the saw | Gaussian at (1.5, 1.5), 3 x noise | 0.05 | 2,000, 3,000 |

    Each class has half of the points, except in `two_moons`, where a point is in class 1 if it lies above the centre of
    the circle, noise included. Inputs are not scaled: radii are in the units of the plane.

    Attributes:
        shape: One of the five shapes in the table.
        num_train: Number of points for training and validation, at least 2; None takes the number in the table.
        num_test: Number of points for testing, at least 2; None takes the number in the table.
        noise: Standard deviation of the Gaussian noise along both axes, at least 0; None takes the one in the table.
        validation: Share of the training points for validation, at least 0 and below 1.
        seed: Seed of the points, independent of the experiment's seed.

    Source:
        Piat, Fadili, Jurie, da Veiga: "Regularized Robust Optimization with Application to Robust Learning", settings
        of its published code (pointwise_avila.py, `select_base`, commit f528e81).
        Differs: the points depend on a seed. Chosen: a validation part is cut from the training points; an odd number
        of points gives class 1 one more.
    """

    shape: Shape = "two_moons"
    num_train: Annotated[int, Within(Ge(2))] | None = None
    num_test: Annotated[int, Within(Ge(2))] | None = None
    noise: NonNegativeFloat | None = None
    validation: Share = 0.1
    seed: NonNegativeInt = 0

    def load(self, part: Part) -> TensorSplit:
        """Draw the points; the test points do not depend on the number of training points."""
        check_part("Toy", part)
        x, y = self._draw("train")
        rows = cut(y, validation=self.validation)
        if len(y[rows["train"]].unique()) < 2:
            raise InputError(
                f"Toy: {len(y)} points and validation {self.validation:g} leave a class none for training; "
                "raise num_train or lower validation."
            )
        known = fit_features(("x1", "x2"), x[rows["train"]])
        if part == "test":
            x, y = self._draw("test")
        chosen = torch.arange(len(y)) if part == "test" else rows[part]
        classes = SETTINGS[self.shape].classes
        return TensorSplit(x[chosen], y[chosen], classes=classes, box=None, numbers=chosen, features=known)

    @classmethod
    def examples(cls) -> list[Dataset]:
        """All five."""
        return [cls(shape=shape) for shape in get_args(Shape)]

    def _draw(self, part: Literal["train", "test"]) -> tuple[Points, Int[Tensor, " point"]]:
        settings = SETTINGS[self.shape]
        given = self.num_train if part == "train" else self.num_test
        published = settings.num_train if part == "train" else settings.num_test
        noise = settings.noise if self.noise is None else self.noise
        rng = stream(self.seed, "data/toy", self.shape, part)
        return settings.draw(published if given is None else given, noise, rng)


class _Settings(NamedTuple):
    draw: Callable[[int, float, Generator], tuple[Points, Int[Tensor, " point"]]]
    noise: float
    num_train: int
    num_test: int
    classes: tuple[str, str]


def _two_gaussians(num: int, noise: float, rng: Generator) -> tuple[Points, Int[Tensor, " point"]]:
    y = _halves(num)
    return y[:, None] * torch.tensor(CORNER) + noise * normal((num, 2), rng=rng), y


def _doughnut(num: int, noise: float, rng: Generator) -> tuple[Points, Int[Tensor, " point"]]:
    y = _halves(num)
    return (1 - y)[:, None] * _circle(num, rng) + noise * normal((num, 2), rng=rng), y


def _two_moons(num: int, noise: float, rng: Generator) -> tuple[Points, Int[Tensor, " point"]]:
    x = _circle(num, rng) + noise * normal((num, 2), rng=rng)
    y = (x[:, 1] > 0).long()
    return x + y[:, None] * torch.tensor(MOON), y


def _saw(num: int, noise: float, rng: Generator) -> tuple[Points, Int[Tensor, " point"]]:
    y = _halves(num)
    return _teeth(num, rng) + y[:, None] * torch.tensor((0.0, 1.0)) + noise * normal((num, 2), rng=rng), y


def _mix(num: int, noise: float, rng: Generator) -> tuple[Points, Int[Tensor, " point"]]:
    y = _halves(num)
    centre = torch.where(y[:, None] == 1, torch.tensor(BLOB), _teeth(num, rng))
    return centre + noise * (1 + 2 * y)[:, None] * normal((num, 2), rng=rng), y


def _halves(num: int) -> Int[Tensor, " point"]:
    return (torch.arange(num) >= num // 2).long()


def _circle(num: int, rng: Generator) -> Points:
    angle = 2 * math.pi * uniform((num,), rng=rng)
    return RADIUS * torch.stack([angle.cos(), angle.sin()], dim=1)


def _teeth(num: int, rng: Generator) -> Points:
    across = TEETH * uniform((num,), rng=rng)
    up = torch.where(across < 1, across, (across - 2).abs())
    return torch.stack([across, up], dim=1)


SETTINGS: dict[Shape, _Settings] = {
    "two_gaussians": _Settings(_two_gaussians, 0.5, 1000, 40, ("around 0", "around 1")),
    "doughnut": _Settings(_doughnut, 0.3, 1000, 300, ("ring", "middle")),
    "two_moons": _Settings(_two_moons, 0.2, 2000, 3000, ("lower", "upper")),
    "saw": _Settings(_saw, 0.05, 2000, 3000, ("lower", "upper")),
    "mix": _Settings(_mix, 0.05, 2000, 3000, ("line", "cloud")),
}
