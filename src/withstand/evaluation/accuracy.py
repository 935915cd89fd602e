"""Accuracy under perturbations: clean, corrupted, noisy, worst of several draws."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Literal

import torch
from torch import Tensor, nn

from withstand.data.base import Split
from withstand.data.space import Space
from withstand.errors import InputError
from withstand.evaluation.base import Columns, Evaluation, answers, rank
from withstand.functional.random import RowStreams
from withstand.functional.tensors import Labels, Points
from withstand.limits import NonEmpty, PositiveInt
from withstand.perturbations.ball import Ball
from withstand.perturbations.base import Draws, Perturbation
from withstand.perturbations.gaussian import Gaussian
from withstand.perturbations.identity import Identity
from withstand.perturbations.imagenet_c import ImageNetC
from withstand.perturbations.masking.diagnosis import Diagnosis
from withstand.perturbations.mixing import check_measured
from withstand.study.measures.measure import ACCURACY, Measure


@dataclass(frozen=True, kw_only=True)
class Accuracy(Evaluation):
    """Share of samples whose label is among the highest logits, under each of several perturbations.

    Every batch is fetched once, and then perturbed on the device under each condition in turn.

    Attributes:
        perturbations: One condition each; `Identity` gives clean accuracy, and `ImageNetC` is replaced by all of its
            corruptions.
        num_draws: Copies per sample and condition.
        over_draws: How copies are combined: `mean` averages correctness over the copies; with `worst`, a sample is
            correct only if every copy is.
        top: For each k, the label must be among the k highest logits; k above the number of classes is ignored.
    """

    perturbations: Annotated[tuple[Perturbation, ...], NonEmpty] = (Identity(),)
    num_draws: PositiveInt = 1
    over_draws: Literal["mean", "worst"] = "mean"
    top: Annotated[tuple[PositiveInt, ...], NonEmpty] = (1, 5)

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(set(self.conditions)) < len(self.conditions):
            raise InputError(f"Accuracy: perturbations must have different conditions, got {self.conditions}.")

    @property
    def conditions(self) -> tuple[str, ...]:
        """The conditions of the perturbations."""
        return tuple(each.condition for each in self.perturbations)

    @property
    def measures(self) -> tuple[Measure, ...]:
        """Top-k accuracies; the first is the primary one."""
        start, words = (
            ("", "accuracy") if self.over_draws == "mean" else ("worst_", f"accuracy, worst of {self.num_draws}")
        )
        return tuple(
            Measure(
                name=f"{start}top{k}",
                column="correct" if k == 1 else f"top{k}",
                words=f"top-{k} {words}",
                better="higher",
                percent=True,
                kind="estimated" if start else "",
                topic=ACCURACY,
                primary=k == self.top[0],
            )
            for k in self.top
        )

    def only(self, conditions: Sequence[str]) -> "Accuracy":
        """Leave out the other perturbations."""
        return replace(self, perturbations=tuple(each for each in self.perturbations if each.condition in conditions))

    def adapted(self, split: Split) -> "Accuracy":
        """Replace ImageNetC by its cells, with the parameters for the size of the images."""
        if min(self.top) > len(split.classes):
            raise InputError(f"Accuracy: top must hold a number up to {len(split.classes)} classes, got {self.top}.")
        found: list[Perturbation] = []
        for each in self.perturbations:
            check_measured(each, split.space)
            found += each.cells(*split.shape[1:]) if isinstance(each, ImageNetC) else [each]
        return replace(self, perturbations=tuple(found), top=tuple(k for k in self.top if k <= len(split.classes)))

    @property
    def needs_gradient(self) -> bool:
        """Whether a perturbation does."""
        return bool(self.gradient_balls)

    @property
    def gradient_balls(self) -> dict[str, tuple[Ball, ...]]:
        """The balls of perturbations that follow gradients."""
        return {each.condition: balls for each in self.perturbations if (balls := each.gradient_balls)}

    def outcomes(
        self, model: nn.Module, x: Points, y: Labels, *, space: Space, state: Diagnosis, rng: RowStreams
    ) -> dict[str, Columns]:
        """Perturb and classify."""
        found = {}
        for perturbation in self.perturbations:
            # Conditions with the same noise name (saved as JPEG or not) share their random numbers.
            source = rng.named(perturbation.noise)
            own = state.adapted(model) if perturbation.gradient_balls else model
            draws = perturbation.draw(x, y, own, space=space, num_draws=self.num_draws, rng=source)
            logits = own(draws.inputs.flatten(0, 1)).view(self.num_draws, len(y), -1)
            found[perturbation.condition] = self._answers(logits, y, draws)
        return found

    def _answers(self, logits: Tensor, y: Tensor, draws: Draws) -> Columns:
        """Return the columns of one draw, or of the mean or worst of several."""
        further = [k for k in self.top if 1 < k <= logits.shape[2]]
        ranks = rank(logits, y)
        if self.num_draws == 1:
            return answers(logits[0], y, ranks[0]) | {f"top{k}": ranks[0] < k for k in further}
        if self.over_draws == "worst":
            worst = ranks.argmax(0, keepdim=True)
            columns = answers(logits.gather(0, worst.unsqueeze(2).expand(-1, -1, logits.shape[2]))[0], y)
            return columns | {f"top{k}": (ranks < k).all(0) for k in further}
        weights = torch.full_like(ranks, 1 / self.num_draws, dtype=torch.float32)
        if draws.log_weights is not None:
            weights = draws.log_weights.float().softmax(0)
        mean = (weights.unsqueeze(2) * logits.float().softmax(2)).sum(0)
        # Keep probabilities of 0 finite in logarithms.
        columns = answers(mean.clamp_min(torch.finfo(mean.dtype).tiny).log(), y)
        columns["prediction"] = columns["prediction"].where(logits.isfinite().all(2).all(0), -1)
        return columns | {"correct" if k == 1 else f"top{k}": (weights * (ranks < k)).sum(0) for k in (1, *further)}

    @classmethod
    def examples(cls) -> list[Evaluation]:
        """Clean and noisy, mean and worst."""
        noise = Gaussian(std=0.2)
        return [
            cls(perturbations=(Identity(), noise)),
            cls(perturbations=(noise,), num_draws=3, top=(1, 2)),
            cls(perturbations=(noise,), num_draws=3, over_draws="worst", top=(1,)),
        ]
