"""Worst-case and mean accuracy over balls."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Annotated, Any

import torch
from torch import Tensor, nn

from withstand.configuration import identity
from withstand.data.base import Split
from withstand.data.space import Space
from withstand.engine import Engine
from withstand.evaluation.base import Columns, Evaluation, answers, first_inputs, rank
from withstand.functional.random import RowStreams
from withstand.functional.tensors import Labels, Points
from withstand.limits import DistinctNonEmpty, NonNegativeInt
from withstand.models.frozen import frozen
from withstand.perturbations.attacks.apgd import APGD
from withstand.perturbations.attacks.attack import Attack, Attacked, checked
from withstand.perturbations.attacks.budgets import Budget, attacks_on
from withstand.perturbations.attacks.union import Union
from withstand.perturbations.ball import Ball
from withstand.perturbations.masking.diagnosis import (
    NUM_LEARNED,
    NUM_PROBES,
    Diagnosis,
    needs_surrogate,
    with_surrogate,
)
from withstand.perturbations.masking.guided import search_beyond
from withstand.perturbations.search.frame import Frame
from withstand.perturbations.search.target import Target
from withstand.perturbations.sobol import Sobol
from withstand.study.measures.measure import Measure
from withstand.study.measures.note import Note

POINTS_AT_ONCE = 16384
MOST_VALUES = 2**26  # of the inputs around which a surrogate learns
# A note appears if attacks without the gradient alone break at least this number and this share of the samples.
LEAST_UNSEEN, LEAST_SHARE = 3, 0.02
TOPIC = "Accuracy over balls"


@dataclass(frozen=True, kw_only=True)
class WorstCase(Evaluation):
    """Share of samples on which no attack succeeds: an upper bound on the worst-case accuracy in a ball.

    The attacks run one after another, each on the samples that are not broken yet. A wrong point counts for every
    ball that contains it, so several balls share the work. Further measures: accuracy after the first attack alone
    (`adversarial_top1`), mean accuracy over evenly spread points of the ball (`mean_top1`), and passes through the
    model per sample (`passes`).

    The outcome `distance` is the distance of the nearest wrong point found, in the units of the ball; in radii if it
    has one per feature; infinity if there is none. `broken_by` is the number of the attack that broke the sample, from
    1; 0 if it is wrong unchanged, -1 if it is not broken.

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
        """Each ball, with the budget or the attacks."""
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
        first = type(self.attacks[0]).__name__ if self.attacks else f"first attack of {self.budget}"
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

    def _attacks(self, ball: Ball, model: nn.Module, *, num_classes: int, shape: Sequence[int]) -> tuple[Attack, ...]:
        return self.attacks or attacks_on(model, self.budget, ball, num_classes=num_classes, shape=shape)

    def only(self, conditions: Sequence[str]) -> "WorstCase":
        """Return all balls: they share their work, so none is measured without the others."""
        return self

    def adapted(self, split: Split) -> "WorstCase":
        """Check that the balls fit."""
        for ball in self.balls:
            ball.check(split.space)
        return self

    @property
    def needs_training_samples(self) -> bool:
        """The model's gradients are tried at training samples."""
        return True

    @property
    def gradient_balls(self) -> dict[str, tuple[Ball, ...]]:
        """Every ball, if an attack follows gradients."""
        if self.attacks and not any(each.needs_gradient for each in self.attacks):
            return {}
        return {name: (ball,) for name, ball in zip(self.conditions, self.balls, strict=True)}

    def prepare(self, model: nn.Module, fit_on: Split, *, space: Space, seed: int, engine: Engine) -> Diagnosis:
        """Check the gradients for masking; if they look masked, train a surrogate."""
        found = super().prepare(model, fit_on, space=space, seed=seed, engine=engine)
        if self.reacts_to(found) and needs_surrogate(found):
            num = max(NUM_PROBES, min(NUM_LEARNED, MOST_VALUES // prod(space.shape)))
            found = with_surrogate(found, model, first_inputs(fit_on, num, engine), space=space)
            if found.surrogate is not None:  # learned in every process, up to the rounding of its device
                engine.copy_first(found.surrogate.parameters())
        return found

    def reacts_to(self, state: Diagnosis) -> bool:
        """Return whether attacks use other gradients where those of the model are masked, or a given surrogate's."""
        return not self.attacks and (self.budget != "quick" or state.is_given)

    def outcomes(
        self, model: nn.Module, x: Points, y: Labels, *, space: Space, state: Diagnosis, rng: RowStreams
    ) -> dict[str, Columns]:
        """Attack the balls, small ones first; predictions are at the wrong point, if there is one."""
        model = state.adapted(model)
        clean = answers(model(x), y)
        found: dict[str, Columns] = {}
        with frozen(model):
            targets = {each.frame.ball: each for each in self._search(model, x, y, space=space, state=state, rng=rng)}
        for ball, condition in zip(self.balls, self.conditions, strict=True):
            found[condition] = _columns(targets[ball], clean)
            found[condition]["unseen"] = self._unseen(targets[ball])
            if self.num_mean:
                own = rng.named("worst case", ball.name, "mean", 0)
                found[condition]["mean"] = self.mean_over(model, x, y, ball, space=space, rng=own)
        return found

    def points(
        self, model: nn.Module, x: Points, y: Labels, *, space: Space, state: Diagnosis, rng: RowStreams
    ) -> dict[str, Attacked]:
        """Return the points behind the outcomes of a batch, by condition; the arguments are those of `outcomes`."""
        with frozen(model := state.adapted(model)):
            found = {each.frame.ball: each for each in self._search(model, x, y, space=space, state=state, rng=rng)}
            return {name: checked(found[ball]) for ball, name in zip(self.balls, self.conditions, strict=True)}

    def remarks(self, outcomes: Mapping[str, Columns], *, state: Diagnosis) -> dict[str, tuple[Note, ...]]:
        """Report gradient masking, and how attacks handled it."""
        found = {}
        for ball, condition in zip(self.balls, self.conditions, strict=True):
            unseen = outcomes[condition]["unseen"].float()
            share = unseen.mean().item() if unseen.sum() >= max(LEAST_UNSEEN, LEAST_SHARE * len(unseen)) else 0.0
            found[condition] = state.notes(ball, unseen=share, reacts=self.reacts_to(state))
        return found

    def _search(
        self, model: nn.Module, x: Tensor, y: Tensor, *, space: Space, state: Diagnosis, rng: RowStreams
    ) -> list[Target]:
        """Attack the balls, small ones first, and share what is found."""
        targets: list[Target] = []
        for ball in sorted(self.balls, key=_size):
            target = Target(model, Frame(x, ball, space), y)
            num_classes = target.begin().shape[1]
            for each in targets:
                _share(each, target)
            attacks = self._attacks(ball, model, num_classes=num_classes, shape=space.shape)
            own = rng.named("worst case", ball.name)
            Union(ball=ball, attacks=attacks).search(target, rng=own)
            if not self.attacks:
                search_beyond(target, state, number=len(attacks) + 1, reacts=self.reacts_to(state), rng=own)
            targets.append(target)
        for target in targets:
            for each in targets:
                _share(each, target)
        return targets

    def _unseen(self, target: Target) -> Tensor:
        """Return which rows only attacks without the model's gradient broke, though there were others."""
        ball, shape = target.frame.ball, target.frame.x.shape[1:]
        needed = [each.needs_gradient for each in self._attacks(ball, target.model, num_classes=2, shape=shape)]
        blind = [number for number, each in enumerate([*needed, False], 1) if not each]
        return torch.isin(target.by, torch.tensor(blind, device=target.by.device)) & any(needed)

    def mean_over(self, model: nn.Module, x: Tensor, y: Tensor, ball: Ball, *, space: Space, rng: RowStreams) -> Tensor:
        """Return the share of right answers at Sobol points of a ball, per row."""
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
        """Two balls, and one of each other norm, under a short attack."""
        own = (APGD(steps=3),)
        return [
            cls(balls=(Ball("linf", 0.1), Ball("linf", 0.2)), attacks=own, num_mean=4),
            cls(balls=(Ball("l2", 0.5),), attacks=own, num_mean=0),
            cls(balls=(Ball("l1", 0.5),), attacks=own, num_mean=2),
        ]


def _columns(target: Target, clean: Columns) -> Columns:
    """Return the columns of a ball; predictions are at the nearest wrong point, or else at the sample."""
    attacked, columns = checked(target, beyond=True), {name: values.clone() for name, values in clean.items()}
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
        before = target.is_broken.clone()
        target.offer(found.frame.rows(rows).points(found.found.rows(rows)), rows)
        broken = (target.is_broken & ~before).nonzero()[:, 0]
        target.by[broken] = found.by[broken].clamp_min(1)  # found outside of its own ball, it has no number
