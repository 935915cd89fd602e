"""Lists of attacks by name, from quick to thorough."""

from collections.abc import Sequence
from math import prod
from typing import Literal

from torch import nn

from withstand.models.wrappers.black_box import is_differentiable
from withstand.perturbations.attacks.apgd import APGD
from withstand.perturbations.attacks.attack import Attack
from withstand.perturbations.attacks.boundary_walk import BoundaryWalk
from withstand.perturbations.attacks.coordinate_search import CoordinateSearch
from withstand.perturbations.attacks.fab import FAB
from withstand.perturbations.attacks.square import Square
from withstand.perturbations.ball import Ball

Budget = Literal["quick", "standard", "thorough"]
QUERIES: dict[Budget, int] = {"quick": 300, "standard": 2000, "thorough": 10000}  # per attack without gradients
MOST_FEATURES = 1000  # inputs with more are not searched one feature at a time


def attacks_on(
    model: nn.Module, budget: Budget, ball: Ball, *, num_classes: int, shape: Sequence[int]
) -> tuple[Attack, ...]:
    """Return the attacks of a budget that suit a model: those by gradients, or by queries if it has none.

    Args:
        model: Maps inputs to logits.
        budget: `quick`, `standard` or `thorough`.
        ball: The ball of every attack.
        num_classes: Number of the model's outputs.
        shape: Shape of one input.

    Example:
        >>> len(attacks_on(nn.Linear(10, 3), "quick", Ball("l2", 0.5), num_classes=3, shape=(10,)))
        4
    """
    if is_differentiable(model):
        return attacks_of(budget, ball, num_classes=num_classes)
    return queries_of(budget, ball, num_features=prod(shape))


def attacks_of(budget: Budget, ball: Ball, *, num_classes: int) -> tuple[Attack, ...]:
    """Return the attacks of a budget that use gradients, in the order in which they run.

    Example:
        >>> len(attacks_of("quick", Ball("l2", 0.5), num_classes=10))
        4
    """
    others = max(1, num_classes - 1)
    few, most = min(3, others), min(9, others)
    if budget == "quick":
        last = 60 if ball.norm == "l1" else 30  # sparse steps are short
        return (
            APGD(ball=ball, steps=10),
            APGD(ball=ball, steps=20, loss="targeted", num_targets=few),
            APGD(ball=ball, steps=40, loss="targeted", num_targets=1),
            APGD(ball=ball, steps=last, loss="targeted", num_targets=few, wide=True),
        )
    # With fewer target classes, each gets more restarts.
    standard = (
        APGD(ball=ball, steps=20),
        APGD(ball=ball, steps=20, loss="targeted", num_targets=most, restarts=-(-9 // most)),
        APGD(ball=ball, steps=50, loss="targeted", num_targets=min(2, others), restarts=-(-2 // others)),
        APGD(ball=ball, steps=40, loss="targeted", num_targets=few, restarts=-(-3 // few), wide=True),
        APGD(ball=ball, steps=60, loss="targeted", num_targets=few, restarts=-(-9 // few), near=0.05),
    )
    if budget == "standard":
        return standard
    return (
        *standard,
        APGD(ball=ball, steps=100, restarts=3),
        APGD(ball=ball, steps=100, loss="targeted", num_targets=most, restarts=2),
        APGD(ball=ball, steps=100, loss="targeted", num_targets=most, wide=True),
        FAB(ball=ball, steps=30, num_targets=few),
        Square(ball=ball, num_queries=2000),
    )


def queries_of(budget: Budget, ball: Ball, *, num_features: int) -> tuple[Attack, ...]:
    """Return the attacks of a budget for models without gradients, in the order in which they run.

    `CoordinateSearch` is left out for inputs of more than 1,000 features.

    Example:
        >>> [type(each).__name__ for each in queries_of("quick", Ball("l2", 0.5), num_features=10)]
        ['CoordinateSearch', 'Square', 'BoundaryWalk']
    """
    count = QUERIES[budget]
    single = (CoordinateSearch(ball=ball, num_queries=count),) if num_features <= MOST_FEATURES else ()
    return (*single, Square(ball=ball, num_queries=count), BoundaryWalk(ball=ball, num_queries=count))
