"""Accuracy per class, and its mean over the classes."""

from dataclasses import dataclass
from typing import Any

from torch import nn

from withstand.data.base import Split
from withstand.data.space import Space
from withstand.evaluation.accuracy import Accuracy
from withstand.evaluation.base import Columns, Evaluation
from withstand.functional.random import RowStreams
from withstand.functional.tensors import Labels, Points
from withstand.perturbations.base import Perturbation
from withstand.perturbations.identity import Identity
from withstand.perturbations.mixing import check_measured
from withstand.study.measures.measure import Measure

TOPIC = "Accuracy by class"


@dataclass(frozen=True, kw_only=True)
class Recall(Evaluation):
    """Share of each class's samples that are classified correctly (`recall CLASS`), and the mean over the classes.

    The mean, `balanced_top1`, counts a rare class as much as a frequent one. Classes without samples are left out.

    Attributes:
        perturbation: The condition; Identity is clean.
    """

    perturbation: Perturbation = Identity()

    @property
    def conditions(self) -> tuple[str, ...]:
        """The condition of the perturbation, by class."""
        return (f"{self.perturbation.condition} by class",)

    @property
    def measures(self) -> tuple[Measure, ...]:
        """The mean over the classes, and each class."""
        look: dict[str, Any] = {"column": "correct", "better": "higher", "percent": True, "topic": TOPIC}
        return (
            Measure(name="balanced_top1", reduction="balanced", words="balanced accuracy", **look),
            Measure(name="recall", reduction="by_class", words="recall", primary=False, **look),
        )

    def adapted(self, split: Split) -> "Recall":
        """Check the perturbation."""
        check_measured(self.perturbation, split.space)
        return self

    def outcomes(
        self, model: nn.Module, x: Points, y: Labels, *, space: Space, state: Any, rng: RowStreams
    ) -> dict[str, Columns]:
        """Measure as `Accuracy` does, under the same noise."""
        same = Accuracy(perturbations=(self.perturbation,), top=(1,))
        found = same.outcomes(model, x, y, space=space, state=state, rng=rng)
        return {self.conditions[0]: found[self.perturbation.condition]}

    @classmethod
    def examples(cls) -> list[Evaluation]:
        """On clean inputs."""
        return [cls()]
