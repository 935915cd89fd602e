"""Certified accuracy over balls."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any

from torch import Tensor, nn

from withstand.certificates.bounds import check_outputs
from withstand.certificates.certify import Certifier, Method, Verdict
from withstand.certificates.graph import Graph, trace
from withstand.data.base import Split
from withstand.data.space import Space
from withstand.engine import Engine
from withstand.evaluation.base import Columns, Evaluation, answers
from withstand.functional.random import RowStreams
from withstand.functional.tensors import Labels, Points
from withstand.limits import DistinctNonEmpty, NonNegativeInt
from withstand.perturbations.ball import Ball
from withstand.study.measures.measure import Measure

TOPIC = "Accuracy over balls"
USUAL_STEPS, USUAL_PARTS = 20, 2000
WORDS: dict[Method, str] = {
    "interval": "intervals",
    "crown": "CROWN",
    "alpha_crown": "alpha-CROWN",
    "complete": "branch and bound",
}


@dataclass(frozen=True, kw_only=True)
class Certificate(Evaluation):
    """Share of samples proved to be classified correctly in the whole ball: a lower bound on the worst-case accuracy.

    Methods run from the cheapest up to `method`, each on the samples that are still undecided. A sample is `certified`,
    `broken` (it is wrong itself, or a wrong point was found), or `unknown`. Networks may consist of linear and
    convolutional layers, batch normalisation, ReLU, LeakyReLU, tanh, sigmoid, GELU, average and maximum pooling, and
    sums or concatenations of branches. Columns of discrete changes are bounded by the hull of their options, and
    enumerated by branch and bound.

    Attributes:
        balls: The balls, one condition each.
        method: `interval`, `crown` (linear bounds), `alpha_crown` (linear bounds with optimised slopes), or `complete`
            (branch and bound: over the inputs where at most ten move, else over the signs of up to 512 rectified
            values; other networks stay undecided).
        steps: Steps of the optimisation of slopes, at least 0.
        num_parts: Most parts of the ball that branch and bound examines per sample, at least 0.

    Source:
        Zhang et al. 2018, arXiv 1811.00866 (CROWN); Xu et al. 2021, arXiv 2011.13824 (alpha-CROWN);
        Wang et al. 2021, arXiv 2103.06624 (branch and bound over signs).
    """

    balls: Annotated[tuple[Ball, ...], DistinctNonEmpty] = (Ball(),)
    method: Method = "complete"
    steps: NonNegativeInt = USUAL_STEPS
    num_parts: NonNegativeInt = USUAL_PARTS

    @property
    def conditions(self) -> tuple[str, ...]:
        """Each ball, and the strongest method."""
        return tuple(f"{ball.name}, {self.budget}" for ball in self.balls)

    @property
    def budget(self) -> str:
        """The strongest method as text, with its settings if they differ from the defaults."""
        words = [WORDS[self.method]]
        if self.method in ("alpha_crown", "complete") and self.steps != USUAL_STEPS:
            words.append(f"{self.steps} steps")
        if self.method == "complete" and self.num_parts != USUAL_PARTS:
            words.append(f"{self.num_parts:,} parts")
        return " ".join(words)

    @property
    def measures(self) -> tuple[Measure, ...]:
        """Certified accuracy, and the share of undecided samples."""
        look: dict[str, Any] = {
            "parameters": {"interval": "exact"},
            "percent": True,
            "topic": TOPIC,
            "budget": self.budget,
        }
        certified: dict[str, Any] = {"words": "certified accuracy", "kind": "certified", "better": "higher"}
        return (
            Measure(name="certified_top1", column="certified", **certified, **look),
            Measure(name="unknown", column="unknown", words="neither certified nor broken", better="lower", **look),
        )

    def only(self, conditions: Sequence[str]) -> "Certificate":
        """Return the evaluation of some of the balls."""
        named = zip(self.conditions, self.balls, strict=True)
        return replace(self, balls=tuple(ball for name, ball in named if name in conditions))

    def adapted(self, split: Split) -> "Certificate":
        """Check that the balls fit."""
        for ball in self.balls:
            ball.check(split.space)
        return self

    @property
    def needs_gradient(self) -> bool:
        """Yes: bounds follow the layers of a network."""
        return True

    def check(self, model: nn.Module, space: Space) -> None:
        """Reject a network with a layer that has no rule, or with outputs that its layers do not explain."""
        check_outputs(trace(model, space.shape, who=type(self).__name__), model, who=type(self).__name__)

    def prepare(self, model: nn.Module, fit_on: Split, *, space: Space, seed: int, engine: Engine) -> Graph:
        """Return the layers of the network."""
        return trace(model, space.shape, who=type(self).__name__)

    def outcomes(
        self, model: nn.Module, x: Points, y: Labels, *, space: Space, state: Graph, rng: RowStreams
    ) -> dict[str, Columns]:
        """Certify the samples that are classified correctly."""
        clean, found = answers(model(x), y), {}
        for ball, condition in zip(self.balls, self.conditions, strict=True):
            verdict = self.verdict(model, x, y, clean["correct"], ball, space=space, graph=state)
            found[condition] = clean | columns_of(verdict)
        return found

    def verdict(
        self, model: nn.Module, x: Points, y: Labels, left: Tensor, ball: Ball, *, space: Space, graph: Graph
    ) -> Verdict:
        """Return verdicts on the undecided samples; all others are broken already."""
        certify = Certifier(graph, model, ball, space, self.method, self.steps, self.num_parts)
        return certify(x, y, left)

    @classmethod
    def examples(cls) -> list[Evaluation]:
        """All methods in two balls, and a cheap method in a third."""
        balls = (Ball("linf", 0.01), Ball("l2", 0.05))
        return [cls(balls=balls, steps=3, num_parts=50), cls(balls=(Ball("l1", 0.1),), method="crown")]


def columns_of(verdict: Verdict) -> Columns:
    """Return the columns `certified`, `broken`, `unknown` and `method` (0 none, else its place among the methods)."""
    unknown = ~(verdict.certified | verdict.broken)
    return {
        "certified": verdict.certified,
        "broken": verdict.broken,
        "unknown": unknown,
        "method": verdict.method.byte(),
    }
