"""Objectives by short name."""

from typing import Any, Literal, get_args

import numpy as np

from withstand.configuration import rebuilt
from withstand.data.space import Space
from withstand.errors import InputError, nearest
from withstand.functional.losses import Loss
from withstand.objectives.base import Objective
from withstand.objectives.folds.mean import Mean
from withstand.objectives.folds.soft_maximum import SoftMaximum
from withstand.objectives.perturbed_risk import PerturbedRisk
from withstand.perturbations.attacks.langevin import Langevin
from withstand.perturbations.attacks.pgd import PGD
from withstand.perturbations.attacks.tilted import Tilted
from withstand.perturbations.ball import Ball
from withstand.perturbations.uniform import Uniform

Name = Literal["regular", "noise", "adversarial", "smoothed", "langevin"]
# Default number of draws per row and step.
NUM_DRAWS = {"noise": 1, "adversarial": 1, "smoothed": 16, "langevin": 8}


def moves(ball: Ball, space: Space) -> bool:
    """Return whether anything moves in a ball."""
    radii = np.broadcast_to(np.asarray(ball.radius), space.shape).copy()
    radii[list(space.fixed)] = 0
    return bool(space.changes) or bool(radii.any())


def make_objective(
    objective: str | Objective,
    *,
    who: str,
    ball: Ball,
    space: Space,
    temperature: float,
    num_draws: int | None,
    loss: Loss,
) -> Objective:
    """Return the objective for a name, or the given one with the loss of a regression.

    Args:
        objective: `regular`, `noise` (uniform in the ball), `adversarial` (projected gradient ascent), `smoothed` (soft
            maximum over tilted draws), `langevin` (over the states of a chain), or an objective.
        who: First word of error messages.
        ball: Ball of the training. If nothing moves in it, every name is `regular`.
        space: The space of the training, with allowed changes.
        temperature: Temperature of the soft maximum of `smoothed` and `langevin`, in nats.
        num_draws: Copies per row and step; None takes 1, 1, 16 and 8. Draws of `noise` are averaged; of `adversarial`
            the worst counts.
        loss: Loss of a named objective; `squared_error` also replaces the losses of a given one.

    Raises:
        InputError: If the name is unknown, or does not support the ball or a regression.
    """
    if isinstance(objective, Objective):
        if loss == "squared_error" and not isinstance(objective, PerturbedRisk):
            raise InputError(f"{who}: objective must be a PerturbedRisk or a name, got {type(objective).__name__}.")
        return objective if loss == "cross_entropy" else rebuilt(objective, lambda n, v: loss if n == "loss" else v)
    known = get_args(Name)
    if not isinstance(objective, str) or objective not in known:
        came = f"the class {objective.__name__}" if isinstance(objective, type) else repr(objective)
        hint = nearest(objective if isinstance(objective, str) else "", known)
        raise InputError(f"{who}: objective must be an Objective or a name, got {came}; {hint}")
    if objective == "regular" or not moves(ball, space):
        return PerturbedRisk(loss=loss)
    fold = {"noise": Mean(), "adversarial": SoftMaximum(temperature=0.0)}.get(objective)
    options: dict[str, Any] = {"loss": loss, "fold": fold or SoftMaximum(temperature=temperature)}
    options["num_draws"] = NUM_DRAWS[objective] if num_draws is None else num_draws
    if objective == "noise":
        return PerturbedRisk(perturbation=Uniform(ball=ball), **options)
    if objective == "adversarial":
        return PerturbedRisk(perturbation=PGD(ball=ball, loss=loss), **options)
    if objective == "langevin":
        return PerturbedRisk(perturbation=Langevin(ball=ball, loss=loss), **options)
    if ball.norm != "linf":
        what = f"needs the norm linf, got {ball.norm}; langevin and adversarial do not"
        raise InputError(f"{who}: objective smoothed {what}.")
    return PerturbedRisk(perturbation=Tilted(ball=ball, loss=loss), **options)
