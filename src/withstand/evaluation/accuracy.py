"""Accuracy under perturbations: clean, corrupted, noisy, worst of several draws."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from withstand.data.base import Split
from withstand.engine import Engine
from withstand.errors import InputError
from withstand.evaluation.base import Evaluation
from withstand.functional.random import RowStreams, derive_seed
from withstand.models.frozen import evaluating
from withstand.perturbations.base import Perturbation
from withstand.perturbations.gaussian import Gaussian
from withstand.perturbations.identity import Identity
from withstand.perturbations.imagenet_c import ImageNetC
from withstand.study.row import Row


@dataclass(frozen=True, kw_only=True)
class Accuracy(Evaluation):
    """Share of samples whose label is among the highest logits, under each of several perturbations.

    Every batch is fetched once and perturbed on the device under one condition after the other.

    Attributes:
        perturbations: The conditions; Identity is clean accuracy. ImageNetC, which then needs its `pixels`, stands for
            all of its corruptions, one condition each.
        num_draws: Copies per sample and condition.
        fold: `mean` over the copies, or `worst`: a sample counts only if every copy is classified correctly.
        top: For each k, the label must be among the k highest logits; k above the number of classes is left out.
    """

    perturbations: tuple[Perturbation, ...] = (Identity(),)
    num_draws: int = 1
    fold: Literal["mean", "worst"] = "mean"
    top: tuple[int, ...] = (1, 5)

    def __post_init__(self) -> None:
        if self.num_draws < 1:
            raise InputError(f"Accuracy: num_draws must be at least 1, got {self.num_draws}.")
        if not self.top or min(self.top) < 1:
            raise InputError(f"Accuracy: top must be numbers of at least 1, got {self.top}.")
        if len(set(self.conditions)) < len(self.conditions):
            raise InputError("Accuracy: perturbations must differ from each other, got one twice.")

    @property
    def conditions(self) -> tuple[str, ...]:
        """Those of the perturbations."""
        return tuple(each.condition for each in self._each_perturbation())

    def _each_perturbation(self) -> list[Perturbation]:
        found: list[Perturbation] = []
        for each in self.perturbations:
            if isinstance(each, ImageNetC):
                if each.pixels is None:
                    raise InputError("Accuracy: ImageNetC needs pixels to stand for its corruptions, got none.")
                found += each.cells(each.pixels, each.pixels)
            else:
                found.append(each)
        return found

    def measure(
        self,
        model: nn.Module,
        split: Split,
        *,
        seed: int,
        engine: Engine,
        fit_on: Split | None = None,  # noqa: ARG002
    ) -> Iterator[Row]:
        """Count the correct answers of this process's share of the samples, then add up over the processes."""
        top = [k for k in self.top if k <= len(split.classes)]
        if not top:
            raise InputError(f"Accuracy: top must hold a number up to {len(split.classes)} classes, got {self.top}.")
        limits = torch.tensor(top, device=engine.device)
        # Of equally likely draws whole hits are counted, so the sum does not depend on the order of the batches.
        precise = torch.float32 if engine.device.type == "mps" else torch.float64
        perturbations = self._each_perturbation()
        hits = [torch.zeros(len(top), dtype=precise, device=engine.device) for _ in perturbations]
        seeds = [derive_seed(seed, each.noise) for each in perturbations]
        seen = 0
        plan = torch.arange(engine.rank, len(split), engine.world_size).split(engine.samples_per_batch(split.shape))
        with torch.no_grad(), evaluating(model):
            for x, y, index in split.batches(plan, device=engine.device, num_workers=engine.num_workers):
                seen += len(y)
                if len(y) == 0:
                    continue
                for number, perturbation in enumerate(perturbations):
                    rng = RowStreams(seeds[number], index, device=engine.device)
                    draws = perturbation.draw(x, y, model, num_draws=self.num_draws, rng=rng)
                    logits = model(draws.inputs.flatten(0, 1)).view(self.num_draws, len(y), -1)
                    correct = rank(logits, y).unsqueeze(2) < limits
                    hits[number] += self._fold(correct, draws.log_weights)
        count = int(engine.add_up(torch.tensor(seen, device=engine.device)).item())
        copies = self.num_draws if self.fold == "mean" else 1
        totals = engine.add_up(torch.stack(hits)).tolist()
        for perturbation, own in zip(perturbations, totals, strict=True):
            for k, total in zip(top, own, strict=True):
                name = f"top{k}" if self.fold == "mean" else f"worst_top{k}"
                yield Row(measure=name, condition=perturbation.condition, total=total / copies, count=count)

    def _fold(self, correct: Tensor, log_weights: Tensor | None) -> Tensor:
        """Return, per limit, the sum over the batch of the draws' sum (by weight, if weighted) or of the worst draw."""
        if self.fold == "worst":
            return correct.all(0).sum(0)
        if log_weights is None:
            return correct.sum((0, 1))
        weights = log_weights.float().softmax(0).unsqueeze(2) * self.num_draws
        return (weights * correct).sum((0, 1))

    @classmethod
    def examples(cls) -> list[Evaluation]:
        """Clean and noisy, mean and worst."""
        noise = Gaussian(std=0.2)
        return [
            cls(perturbations=(Identity(), noise)),
            cls(perturbations=(noise,), num_draws=3, fold="worst", top=(1,)),
        ]


def rank(logits: Tensor, y: Tensor) -> Tensor:
    """Return how many classes have a logit at least as high as the label's own; a tie does not count as a hit.

    Args:
        logits: (draw, batch, class).
        y: (batch,).

    Returns:
        (draw, batch), 0 where the label wins. Where its logit is not a number, the number of classes.

    Example:
        >>> rank(torch.tensor([[[0.1, 0.7, 0.2]]]), torch.tensor([2]))
        tensor([[1]])
    """
    own = logits.gather(2, y.expand(len(logits), -1).unsqueeze(2))
    # A number minus itself is 0; infinity and what is no number are not, and count as another class that wins.
    return logits.shape[2] - 1 - (logits < own).sum(2) + (own - own != 0).squeeze(2)
