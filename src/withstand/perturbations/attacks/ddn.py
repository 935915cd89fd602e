"""Decoupled direction and norm attack (DDN)."""

from dataclasses import dataclass
from typing import ClassVar

import torch

from withstand.errors import InputError
from withstand.functional.random import RowStreams
from withstand.functional.tensors import PerRow
from withstand.limits import PositiveInt
from withstand.perturbations.attacks.attack import Attack
from withstand.perturbations.ball import Ball
from withstand.perturbations.base import Perturbation
from withstand.perturbations.search.nearing import GROWTH, come_near
from withstand.perturbations.search.target import Target


@dataclass(frozen=True, kw_only=True)
class DDN(Attack):
    """Decoupled direction and norm attack: ascent on a sphere whose radius shrinks where the model is wrong.

    Attributes:
        ball: An l2 ball.
        steps: Gradient steps, at least 1.

    Source:
        Rony et al. 2019, arXiv 1811.09600, algorithm 1; jeromerony/adversarial-library,
        adv_lib/attacks/decoupled_direction_norm.py, commit 9dec220.
        Differs: log odds of scaled logits in place of cross entropy; the first length comes from a linear model, and
        its change falls; steps are measured in the present length; gradients that lead out of the box are dropped;
        nothing is rounded; rows without progress anneal faster.
    """

    finds_distance: ClassVar[bool] = True
    ball: Ball = Ball("l2", 1.0)
    steps: PositiveInt = 100

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.ball.norm != "l2":
            raise InputError(f"DDN: the ball must be l2, got {self.ball.norm}.")

    def search(self, target: Target, *, rng: RowStreams) -> None:
        """Ascend on a sphere."""
        come_near(target, lengths=_lengths, steps=self.steps, fills=True, rng=rng)

    @classmethod
    def examples(cls) -> list[Perturbation]:
        """A small and a large ball."""
        return [cls(ball=Ball("l2", radius), steps=4) for radius in (0.3, 1.0)]


def _lengths(length: PerRow, to_boundary: PerRow) -> PerRow:
    """Return the length of the boundary by a linear model at first, then grow."""
    return torch.where(length == 0, to_boundary, length * GROWTH)
