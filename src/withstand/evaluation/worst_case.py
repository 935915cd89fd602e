"""Worst-case and mean accuracy over balls."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import torch
from torch import Tensor, nn

from withstand.configuration import identity
from withstand.data.base import Split
from withstand.data.space import Space
from withstand.evaluation.base import Columns, Evaluation, answers, rank
from withstand.functional.random import RowStreams
from withstand.functional.tensors import Labels, Points
from withstand.limits import DistinctNonEmpty, NonNegativeInt
from withstand.models.frozen import frozen
from withstand.perturbations.attacks.attack import Attack, checked
from withstand.perturbations.attacks.budgets import Budget, attacks_of
from withstand.perturbations.attacks.frame import Frame
from withstand.perturbations.attacks.target import Target
from withstand.perturbations.attacks.union import Union
from withstand.perturbations.ball import Ball
from withstand.perturbations.sobol import Sobol
from withstand.study.measures.measure import Measure

POINTS_AT_ONCE = 16384
TOPIC = "Accuracy over balls"


@dataclass(frozen=True, kw_only=True)
class WorstCase(Evaluation):
    """Share of samples on which no attack succeeds: an upper bound on the worst-case accuracy in a ball.

    A union of attacks searches each ball; those that find a sample broken leave it. A point that is wrong counts for
    every ball that it lies in, so several balls share the work. Further measures: the share that is right after the
    first attack alone (`adversarial_top1`), the mean over evenly spread points of the ball (`mean_top1`), and the
    passes through the model per sample (`passes`).

    Attributes:
        balls: The balls, one condition each.
        budget: Which attacks: `quick`, `standard` (as strong as AutoAttack's standard list) or `thorough`.
        attacks: Attacks to run instead of those of the budget; their balls are replaced.
        num_mean: Points per sample of the mean; 0 disables it.

    Source:
        The union of attacks: Croce, Hein 2020, arXiv 2003.01690.
    """

    balls: Annotated[tuple[Ball, ...], DistinctNonEmpty] = (Ball(),)
    budget: Budget = "standard"
    attacks: tuple[Attack, ...] = ()
    num_mean: NonNegativeInt = 256

    @property
    def conditions(self) -> tuple[str, ...]:
        """Each ball, and what attacked it."""
        return tuple(f"{ball.name}, {self._tried}" for ball in self.balls)

    @property
    def _tried(self) -> str:
        if not self.attacks:
            return self.budget
        return f"{' + '.join(type(each).__name__ for each in self.attacks)} {identity(self.attacks)}"

    @property
    def measures(self) -> tuple[Measure, ...]:
        """The worst case, what the first attack finds, the mean over the ball, and the cost."""
        look: dict[str, Any] = {"better": "higher", "percent": True, "topic": TOPIC}
        attacked: dict[str, Any] = look | {"kind": "attacked"}
        first = type(self._attacks(self.balls[0], num_classes=10)[0]).__name__
        attacked["budget"] = self._tried
        found = [Measure(name="worst_case_top1", column="correct", words="worst-case accuracy", **attacked)]
        attacked["budget"] = first
        found += [Measure(name="adversarial_top1", column="adversarial", words="adversarial accuracy", **attacked)]
        if self.num_mean:
            words, budget = "mean accuracy over the ball", f"{self.num_mean} points"
            found.append(Measure(name="mean_top1", column="mean", words=words, kind="estimated", budget=budget, **look))
        words = "passes through the model per sample"
        found.append(Measure(name="passes", column="passes", words=words, topic=TOPIC, primary=False))
        return tuple(found)

    def _attacks(self, ball: Ball, *, num_classes: int) -> tuple[Attack, ...]:
        return self.attacks or attacks_of(self.budget, ball, num_classes=num_classes)

    def only(self, conditions: Sequence[str]) -> "WorstCase":
        """Return all balls: they share their work, so none is measured without the others."""
        return self

    def adapted(self, split: Split) -> "WorstCase":
        """Check that the balls fit."""
        for ball in self.balls:
            ball.check(split.space)
        return self

    def outcomes(
        self, model: nn.Module, x: Points, y: Labels, *, space: Space, state: Any, rng: RowStreams
    ) -> dict[str, Columns]:
        """Attack the balls, small ones first; the prediction is taken at the point that is wrong."""
        clean = answers(model(x), y)
        found: dict[str, Columns] = {}
        with frozen(model):
            targets = {each.frame.ball: each for each in self._search(model, x, y, space=space, rng=rng)}
        for ball, condition in zip(self.balls, self.conditions, strict=True):
            found[condition] = _columns(targets[ball], clean)
            if self.num_mean:
                own = rng.named("worst case", ball.name, "mean", 0)
                found[condition]["mean"] = self._mean(model, x, y, ball, space=space, rng=own)
        return found

    def _search(self, model: nn.Module, x: Tensor, y: Tensor, *, space: Space, rng: RowStreams) -> list[Target]:
        """Attack the balls, small ones first, and share what is found."""
        targets: list[Target] = []
        for ball in sorted(self.balls, key=_size):
            target = Target(model, Frame(x, ball, space), y)
            num_classes = target.begin().shape[1]
            for each in targets:
                _share(each, target)
            attacks = self._attacks(ball, num_classes=num_classes)
            Union(ball=ball, attacks=attacks).search(target, rng=rng.named("worst case", ball.name))
            targets.append(target)
        for target in targets:
            for each in targets:
                _share(each, target)
        return targets

    def _mean(self, model: nn.Module, x: Tensor, y: Tensor, ball: Ball, *, space: Space, rng: RowStreams) -> Tensor:
        shares = torch.zeros(len(y), device=y.device)
        points = Sobol(ball=ball)
        for rows in torch.arange(len(y), device=y.device).split(max(1, POINTS_AT_ONCE // self.num_mean)):
            own = rng.subset(rows)
            draws = points.draw(x[rows], y[rows], model, space=space, num_draws=self.num_mean, rng=own)
            logits = model(draws.inputs.flatten(0, 1)).view(self.num_mean, len(rows), -1)
            shares[rows] = (rank(logits, y[rows]) == 0).float().mean(0)
        return shares

    @classmethod
    def examples(cls) -> list[Evaluation]:
        """A budget on two balls, and own attacks."""
        own = attacks_of("quick", Ball(), num_classes=10)[:1]
        return [
            cls(balls=(Ball("linf", 0.1), Ball("linf", 0.2)), budget="quick", num_mean=4),
            cls(balls=(Ball("l2", 0.5),), attacks=own, num_mean=0),
            cls(balls=(Ball("l1", 0.5),), attacks=own, num_mean=2),
        ]


def _columns(target: Target, clean: Columns) -> Columns:
    """Return the columns of a ball; the prediction is that at the nearest wrong point."""
    attacked, columns = checked(target), {name: values.clone() for name, values in clean.items()}
    for rows in attacked.success.nonzero()[:, 0].split(POINTS_AT_ONCE):
        if len(rows):  # an empty tensor splits into one empty part
            for name, values in answers(target.model(attacked.points[rows]), target.y[rows]).items():
                columns[name][rows] = values
    radius, distance = target.frame.ball.radius, attacked.distance
    if isinstance(radius, int | float):
        distance = torch.where(distance.isfinite(), distance * radius, distance)
    return columns | {
        "adversarial": clean["correct"] & (~attacked.success | (target.by > 1)),
        "broken_by": target.by.where(attacked.success, -1).to(torch.int8),
        "distance": distance,
        "passes": attacked.passes,
    }


def _size(ball: Ball) -> float:
    """Return the radius of a ball, or the largest of its radii."""
    radius = ball.radius
    while isinstance(radius, Sequence):
        radius = max(radius, key=lambda each: max(each) if isinstance(each, Sequence) else each)
    return radius


def _share(found: Target, target: Target) -> None:
    """Try the wrong points that another target found."""
    rows = (found.distance.isfinite() & (found is not target)).nonzero()[:, 0]
    if len(rows):
        target.offer(found.frame.rows(rows).points(found.found.rows(rows)), rows)
