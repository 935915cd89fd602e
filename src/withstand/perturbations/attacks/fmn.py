"""Fast minimum-norm attack (FMN)."""

from dataclasses import dataclass
from typing import ClassVar

import torch

from withstand.functional.random import RowStreams
from withstand.functional.tensors import PerRow
from withstand.limits import PositiveInt
from withstand.perturbations.attacks.attack import Attack
from withstand.perturbations.ball import Ball
from withstand.perturbations.base import Perturbation
from withstand.perturbations.search.nearing import GROWTH, come_near
from withstand.perturbations.search.target import Target


@dataclass(frozen=True, kw_only=True)
class FMN(Attack):
    """Fast minimum-norm attack: ascent in a ball that shrinks to the distance of the nearest misclassified point.

    Attributes:
        steps: Gradient steps, at least 1.

    Source:
        Pintor, Roli, Brendel, Biggio 2021, arXiv 2102.12827, algorithm 1; jeromerony/adversarial-library,
        adv_lib/attacks/fast_minimum_norm.py, commit 9dec220.
        Differs: log odds of scaled logits, which tend to the margin, are climbed by the steepest steps of the norm,
        measured in the present length; gradients that lead out of the box are dropped; rows without progress
        anneal faster.
    """

    finds_distance: ClassVar[bool] = True
    steps: PositiveInt = 100

    def search(self, target: Target, *, rng: RowStreams) -> None:
        """Ascend in a ball."""
        come_near(target, lengths=_lengths, steps=self.steps, fills=False, rng=rng)

    @classmethod
    def examples(cls) -> list[Perturbation]:
        """One ball of each norm."""
        return [cls(ball=Ball(norm, 0.3), steps=4) for norm in ("linf", "l2", "l1")]


def _lengths(length: PerRow, to_boundary: PerRow) -> PerRow:
    """Return the length of the boundary by a linear model."""
    return torch.maximum(length + to_boundary, length * GROWTH)
