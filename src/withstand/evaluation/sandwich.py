"""Certified and attacked accuracy over the same balls."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, NamedTuple

from torch import nn

from withstand.certificates.certify import Method
from withstand.certificates.graph import Graph
from withstand.data.base import Split
from withstand.data.space import Space
from withstand.engine import Engine
from withstand.evaluation.base import Columns, Evaluation, answers
from withstand.evaluation.certificate import TOPIC, USUAL_PARTS, USUAL_STEPS, Certificate, columns_of
from withstand.evaluation.worst_case import WorstCase
from withstand.functional.random import RowStreams
from withstand.functional.tensors import Labels, PerRow, Points
from withstand.limits import DistinctNonEmpty, NonNegativeInt
from withstand.perturbations.attacks.apgd import APGD
from withstand.perturbations.attacks.attack import Attack
from withstand.perturbations.attacks.budgets import Budget
from withstand.perturbations.ball import Ball
from withstand.perturbations.masking.diagnosis import Diagnosis
from withstand.study.measures.measure import Measure
from withstand.study.measures.note import Note

BY_SEARCH = 127  # in the column of attacks: broken by branch and bound


class State(NamedTuple):
    """State of certificates and attacks.

    Attributes:
        graph: The layers of the network.
        diagnosis: Whether its gradients are masked.
    """

    graph: Graph
    diagnosis: Diagnosis


@dataclass(frozen=True, kw_only=True)
class Sandwich(Evaluation):
    """Certified and attacked accuracy over the same balls: the true worst-case accuracy lies between them.

    Attacks run first; certificates run on the samples that are left. The gap is the share of samples that are neither
    broken nor certified. Wrong points that branch and bound finds count as attacks.

    Attributes:
        balls: The balls, one condition each.
        budget: Budget of the attacks; see `WorstCase`.
        attacks: Attacks to run instead of those of the budget; their balls are replaced.
        method: Strongest method of the certificates; see `Certificate`.
        steps: Steps of the optimisation of slopes, at least 0.
        num_parts: Most parts of the ball that branch and bound examines per sample, at least 0.
    """

    balls: Annotated[tuple[Ball, ...], DistinctNonEmpty] = (Ball(),)
    budget: Budget = "standard"
    attacks: tuple[Attack, ...] = ()
    method: Method = "complete"
    steps: NonNegativeInt = USUAL_STEPS
    num_parts: NonNegativeInt = USUAL_PARTS

    @property
    def _attack(self) -> WorstCase:
        return WorstCase(balls=self.balls, budget=self.budget, attacks=self.attacks, num_mean=0)

    @property
    def _certificate(self) -> Certificate:
        return Certificate(balls=self.balls, method=self.method, steps=self.steps, num_parts=self.num_parts)

    @property
    def conditions(self) -> tuple[str, ...]:
        """Each ball, the budget or the attacks, and the strongest certificate."""
        return tuple(f"{each} + {self._certificate.budget}" for each in self._attack.conditions)

    @property
    def measures(self) -> tuple[Measure, ...]:
        """Certified accuracy, worst-case accuracy, and the gap between them."""
        attacked = self._attack.conditions[0].removeprefix(f"{self.balls[0].name}, ")
        look: dict[str, Any] = {"parameters": {"interval": "exact"}, "percent": True, "topic": TOPIC}
        certified: dict[str, Any] = {"kind": "certified", "budget": self._certificate.budget, "better": "higher"}
        worst: dict[str, Any] = {"kind": "attacked", "budget": attacked, "better": "higher"}
        # Without a direction: a model that is broken everywhere has no gap.
        gap: dict[str, Any] = {"budget": f"{attacked} + {self._certificate.budget}"}
        return (
            Measure(name="certified_top1", column="certified", words="certified accuracy", **certified, **look),
            Measure(name="worst_case_top1", column="correct", words="worst-case accuracy", **worst, **look),
            Measure(name="gap", column="unknown", words="gap between the two", **gap, **look),
        )

    def only(self, conditions: Sequence[str]) -> "Sandwich":
        """Return all balls: their attacks share work."""
        return self

    def adapted(self, split: Split) -> "Sandwich":
        """Check that the balls fit."""
        for ball in self.balls:
            ball.check(split.space)
        return self

    @property
    def needs_gradient(self) -> bool:
        """Yes: bounds follow the layers of a network."""
        return True

    def check(self, model: nn.Module, space: Space) -> None:
        """Reject a network with a layer that has no rule."""
        self._certificate.check(model, space)

    @property
    def gradient_balls(self) -> dict[str, tuple[Ball, ...]]:
        """The balls of the attacks."""
        return dict(zip(self.conditions, self._attack.gradient_balls.values(), strict=False))

    @property
    def needs_training_samples(self) -> bool:
        """Whether the attacks need them."""
        return self._attack.needs_training_samples

    def prepare(self, model: nn.Module, fit_on: Split, *, space: Space, seed: int, engine: Engine) -> State:
        """Return the layers of the network, and check its gradients for masking."""
        graph = self._certificate.prepare(model, fit_on, space=space, seed=seed, engine=engine)
        return State(graph, self._attack.prepare(model, fit_on, space=space, seed=seed, engine=engine))

    def outcomes(
        self, model: nn.Module, x: Points, y: Labels, *, space: Space, state: State, rng: RowStreams
    ) -> dict[str, Columns]:
        """Attack, then certify the surviving samples; predictions are at the misclassified point, if there is one."""
        attacked = self._attack.outcomes(model, x, y, space=space, state=state.diagnosis, rng=rng)
        found = {}
        for ball, columns, condition in zip(self.balls, attacked.values(), self.conditions, strict=True):
            left = columns["correct"]
            verdict = self._certificate.verdict(model, x, y, left, ball, space=space, graph=state.graph)
            new = (left & verdict.broken).nonzero()[:, 0]
            if len(new):
                for name, values in answers(model(verdict.point[new]), y[new]).items():
                    columns[name][new] = values
                columns["broken_by"][new] = BY_SEARCH
                columns["distance"][new] = _distance(ball, x[new], verdict.point[new], space)
            found[condition] = columns | columns_of(verdict)
        return found

    def remarks(self, outcomes: Mapping[str, Columns], *, state: State) -> dict[str, tuple[Note, ...]]:
        """Return the notes of the attacks."""
        attack, own = self._attack, self.conditions
        found = attack.remarks(
            {name: outcomes[each] for name, each in zip(attack.conditions, own, strict=True)}, state=state.diagnosis
        )
        return dict(zip(own, found.values(), strict=True))

    @classmethod
    def examples(cls) -> list[Evaluation]:
        """Two balls under a short attack."""
        return [cls(balls=(Ball("linf", 0.01), Ball("linf", 0.05)), attacks=(APGD(steps=2),), steps=3, num_parts=50)]


def _distance(ball: Ball, x: Points, point: Points, space: Space) -> PerRow:
    """Return distances in the unit of the radius; in radii if there is one per feature."""
    in_unit = ball.radius if isinstance(ball.radius, int | float) else 1.0
    return ball.distance(x, point, space=space) * in_unit
