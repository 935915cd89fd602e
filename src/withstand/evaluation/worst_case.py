"""Worst-case and mean accuracy over a ball."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from withstand.configuration import identity
from withstand.data.base import Split
from withstand.data.space import Space
from withstand.errors import InputError
from withstand.evaluation.base import Columns, Evaluation, answers, rank
from withstand.functional.random import RowStreams
from withstand.functional.tensors import Labels, Points
from withstand.limits import NonNegativeInt, PositiveFloat, PositiveInt
from withstand.perturbations.attacks.pgd import PGD
from withstand.perturbations.attacks.tilted import Tilted
from withstand.perturbations.attacks.vertices import Vertices
from withstand.perturbations.ball import Ball
from withstand.perturbations.base import Perturbation
from withstand.perturbations.sobol import Sobol
from withstand.study.measures.measure import Measure

MOST_VERTICES = 4096
LONGEST = 60  # characters of the radii in the name of a condition
POINTS_AT_ONCE = 16384
TOPIC = "Accuracy over balls"


@dataclass(frozen=True, kw_only=True)
class WorstCase(Evaluation):
    """Share of samples on which no attack succeeds: an upper bound on worst-case accuracy in a ball.

    Projected gradient ascent with restarts comes first. Samples that are still right are tested at all vertices of the
    ball, if there are at most 4,096, and then, in an linf ball, at points tilted along the gradient. Further measures:
    the share right under the first attack alone (`adversarial_top1`), and the mean over evenly spread points of the
    ball (`mean_top1`).

    Attributes:
        ball: The norm, radius and unit.
        steps: Steps of projected gradient ascent per restart; 0 disables it.
        restarts: Restarts of the ascent, at least 1.
        vertices: Whether to try the vertices.
        num_tilted: Tilted points per sample; 0 disables them.
        temperature: Temperature of the tilt, in nats, > 0.
        num_mean: Points per sample of the mean; 0 disables it.

    Source:
        Madry et al. 2018, arXiv 1706.06083; the union of attacks as in Croce, Hein 2020, arXiv 2003.01690.
    """

    ball: Ball = Ball()
    steps: NonNegativeInt = 40
    restarts: PositiveInt = 3
    vertices: bool = True
    num_tilted: NonNegativeInt = 64
    temperature: PositiveFloat = 0.01
    num_mean: NonNegativeInt = 256

    def __post_init__(self) -> None:
        super().__post_init__()
        if not any(self._attacks()):
            raise InputError(
                f"WorstCase: expected at least one attack on an {self.ball.norm} ball, got none: no steps, vertices "
                "(linf or l1) or tilted points (linf)."
            )

    def _attacks(self) -> tuple[bool, bool, bool]:
        """Return whether ascent, vertices and tilted points are tried."""
        return self.steps > 0, self.vertices and self.ball.norm != "l2", self._num_tilted > 0

    @property
    def _num_tilted(self) -> int:
        return self.num_tilted if self.ball.norm == "linf" else 0

    @property
    def where(self) -> str:
        """The ball as text, e.g. `linf 0.1` or `linf [0.1 0 0.3]`; different for different balls."""
        unit = "" if self.ball.unit == "std" else f" {self.ball.unit}"
        radius = self.ball.radius
        if isinstance(radius, int | float):
            shown = f"{radius:g}"
        else:
            shown = "[" + " ".join(f"{each:g}" if isinstance(each, int | float) else "..." for each in radius) + "]"
        if len(shown) > LONGEST or "..." in shown:
            shown = f"per feature {identity(self.ball)}"
        return f"{self.ball.norm} {shown}{unit}"

    @property
    def conditions(self) -> tuple[str, ...]:
        """The ball, and the attacks on it."""
        return (f"{self.where}, {' + '.join(self._tried())}",)

    def _tried(self) -> list[str]:
        ascent, vertices, tilted = self._attacks()
        tried = [f"PGD-{self.steps} x {self.restarts}"] * ascent + ["vertices"] * vertices
        return tried + [f"{self.num_tilted} tilted"] * tilted

    @property
    def measures(self) -> tuple[Measure, ...]:
        """The worst case, what the ascent alone finds, and the mean over the ball."""
        look: dict[str, Any] = {"better": "higher", "percent": True, "topic": TOPIC}
        attacked: dict[str, Any] = look | {"kind": "attacked"}
        tried = self._tried()
        budget = " + ".join(tried)
        found = [
            Measure(name="worst_case_top1", column="correct", words="worst-case accuracy", budget=budget, **attacked)
        ]
        if self.steps:
            ascent = Measure(
                name="adversarial_top1", column="adversarial", words="adversarial accuracy", budget=tried[0], **attacked
            )
            found.append(ascent)
        if self.num_mean:
            words, budget = "mean accuracy over the ball", f"{self.num_mean} points"
            found.append(Measure(name="mean_top1", column="mean", words=words, kind="estimated", budget=budget, **look))
        return tuple(found)

    def adapted(self, split: Split) -> "WorstCase":
        """Skip the vertices if there are too many, and check that an attack is left."""
        self.ball.check(split.space)
        if not self._attacks()[1] or _num_vertices(self.ball, split.space):
            return self
        if not (self.steps or self._num_tilted):
            raise InputError(
                f"WorstCase: expected steps, got 0: the ball has more than {MOST_VERTICES:,} vertices around inputs of "
                f"shape {split.shape}, too many to try, and there is no other attack."
            )
        return replace(self, vertices=False)

    def outcomes(
        self, model: nn.Module, x: Points, y: Labels, *, space: Space, state: Any, rng: RowStreams
    ) -> dict[str, Columns]:
        """Attack the samples that are right; the prediction is taken at the first point that is wrong."""
        found = answers(model(x), y)
        for attack, num_draws, name, number in self._tries(space):
            if name != "PGD" and self.steps and "adversarial" not in found:
                found["adversarial"] = found["correct"].clone()
            source = rng.named("worst case", self.where, name, number)
            self._attack(attack, num_draws, model, x, y, found, space=space, rng=source)
        if self.steps:
            found.setdefault("adversarial", found["correct"].clone())
        if self.num_mean:
            found["mean"] = self._mean(model, x, y, space=space, rng=rng.named("worst case", self.where, "mean", 0))
        return {self.conditions[0]: found}

    def _tries(self, space: Space) -> Iterator[tuple[Perturbation, int, str, int]]:
        """Yield each attack with its number of points, and the name and number of its source of randomness."""
        ascent, vertices, tilted = self._attacks()
        for number in range(self.restarts if ascent else 0):
            yield PGD(ball=self.ball, steps=self.steps, until_wrong=True), 1, "PGD", number
        if vertices and (count := _num_vertices(self.ball, space)):
            yield Vertices(ball=self.ball), count, "vertices", 0
        if tilted:
            yield Tilted(ball=self.ball, temperature=self.temperature), self.num_tilted, "tilted", 0

    def _attack(
        self,
        attack: Perturbation,
        num_draws: int,
        model: nn.Module,
        x: Tensor,
        y: Tensor,
        found: Columns,
        *,
        space: Space,
        rng: RowStreams,
    ) -> None:
        """Update the samples that a draw of the attack makes wrong, some rows at a time."""
        left = found["correct"].nonzero()[:, 0]
        for rows in left.split(max(1, POINTS_AT_ONCE // num_draws)):
            if len(rows) == 0:  # an empty tensor splits into one empty part
                return
            own = rng.subset(rows)
            draws = attack.draw(x[rows], y[rows], model, space=space, num_draws=num_draws, rng=own)
            logits = model(draws.inputs.flatten(0, 1)).view(num_draws, len(rows), -1)
            wrong = rank(logits, y[rows]) > 0
            broken = wrong.any(0).nonzero()[:, 0]
            first = wrong[:, broken].int().argmax(0)
            for name, values in answers(logits[first, broken], y[rows[broken]]).items():
                found[name][rows[broken]] = values

    def _mean(self, model: nn.Module, x: Tensor, y: Tensor, *, space: Space, rng: RowStreams) -> Tensor:
        shares = torch.zeros(len(y), device=y.device)
        points = Sobol(ball=self.ball)
        for rows in torch.arange(len(y), device=y.device).split(max(1, POINTS_AT_ONCE // self.num_mean)):
            own = rng.subset(rows)
            draws = points.draw(x[rows], y[rows], model, space=space, num_draws=self.num_mean, rng=own)
            logits = model(draws.inputs.flatten(0, 1)).view(self.num_mean, len(rows), -1)
            shares[rows] = (rank(logits, y[rows]) == 0).float().mean(0)
        return shares

    @classmethod
    def examples(cls) -> list[Evaluation]:
        """All attacks in one ball of each norm."""
        return [
            cls(ball=Ball("linf", 0.2), steps=2, restarts=2, num_tilted=4, num_mean=4),
            cls(ball=Ball("l2", 0.5), steps=2, restarts=1, num_mean=0),
            cls(ball=Ball("l1", 0.5), steps=1, restarts=1, num_mean=2),
        ]


def _num_vertices(ball: Ball, space: Space) -> int:
    """Return how many vertices to try: all, or 0 if there are too many."""
    try:
        count = Vertices(ball=ball).count(torch.zeros(1, *space.shape), space=space)
    except InputError:
        return 0
    return count if count <= MOST_VERTICES else 0
