"""Accuracy class by class, and its mean over the classes."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import nn

from withstand.data.base import Split
from withstand.engine import Engine
from withstand.evaluation.accuracy import rank
from withstand.evaluation.base import Evaluation
from withstand.functional.random import RowStreams, derive_seed
from withstand.models.frozen import evaluating
from withstand.perturbations.base import Perturbation
from withstand.perturbations.identity import Identity
from withstand.study.row import Row


@dataclass(frozen=True, kw_only=True)
class Recall(Evaluation):
    """Share of each class's samples that are classified correctly (`recall CLASS`), and the mean over the classes.

    The mean, `balanced_top1`, counts a rare class as much as a frequent one. Classes without samples are left out.

    Attributes:
        perturbation: The condition; Identity is clean.
    """

    perturbation: Perturbation = Identity()

    additive: ClassVar[bool] = False

    @property
    def conditions(self) -> tuple[str, ...]:
        """That of the perturbation, by class."""
        return (f"{self.perturbation.condition} by class",)

    def measure(
        self,
        model: nn.Module,
        split: Split,
        *,
        seed: int,
        engine: Engine,
        fit_on: Split | None = None,  # noqa: ARG002
    ) -> Iterator[Row]:
        """Count hits and samples of every class."""
        precise = torch.float32 if engine.device.type == "mps" else torch.float64
        counts = torch.zeros(2, len(split.classes), dtype=precise, device=engine.device)
        base = derive_seed(seed, self.perturbation.noise)
        plan = torch.arange(engine.rank, len(split), engine.world_size).split(engine.samples_per_batch(split.shape))
        with torch.no_grad(), evaluating(model):
            for x, y, index in split.batches(plan, device=engine.device, num_workers=engine.num_workers):
                if len(y) == 0:
                    continue
                rng = RowStreams(base, index, device=engine.device)
                draws = self.perturbation.draw(x, y, model, num_draws=1, rng=rng)
                right = rank(model(draws.inputs[0])[None], y)[0] == 0
                counts[0].index_add_(0, y, right.to(precise))
                counts[1].index_add_(0, y, torch.ones_like(right, dtype=precise))
        hits, sizes = engine.add_up(counts).tolist()
        (condition,), there = self.conditions, [k for k, size in enumerate(sizes) if size]
        total = sum(sizes)
        mean = sum(hits[k] / sizes[k] for k in there) / max(1, len(there))
        yield Row(measure="balanced_top1", condition=condition, total=mean * total, count=round(total))
        for k in there:
            name = f"recall {split.classes[k]}"
            yield Row(measure=name, condition=condition, total=hits[k], count=round(sizes[k]))

    @classmethod
    def examples(cls) -> list[Evaluation]:
        """Of clean inputs."""
        return [cls()]
