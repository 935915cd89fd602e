"""Budgets of attacks, by name."""

from typing import Literal

from withstand.perturbations.attacks.apgd import APGD
from withstand.perturbations.attacks.attack import Attack
from withstand.perturbations.ball import Ball

Budget = Literal["quick", "standard", "thorough"]


def attacks_of(budget: Budget, ball: Ball, *, num_classes: int) -> tuple[Attack, ...]:
    """Return the attacks of a budget, in the order in which they run.

    Args:
        budget: Its name.
        ball: The ball that is attacked.
        num_classes: Number of the model's outputs.
    """
    steps = {"quick": 20, "standard": 100, "thorough": 200}[budget]
    return (APGD(ball=ball, steps=steps),)
