"""Kinds: groups of experiments that can be trained in one batch."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import fields, is_dataclass, replace
from itertools import count
from typing import Any

from withstand.configuration import canonical, rebuilt
from withstand.engine import Engine
from withstand.errors import InputError
from withstand.evaluation.accuracy import Accuracy
from withstand.experiment import Experiment
from withstand.models.mlp import MLP
from withstand.objectives.base import Objective
from withstand.objectives.perturbed_risk import PerturbedRisk
from withstand.perturbations.attacks.langevin import Langevin
from withstand.perturbations.attacks.pgd import PGD
from withstand.perturbations.attacks.tilted import Tilted
from withstand.perturbations.attacks.vertices import Vertices
from withstand.perturbations.ball import Ball
from withstand.perturbations.base import Perturbation
from withstand.perturbations.gaussian import Gaussian
from withstand.perturbations.identity import Identity
from withstand.perturbations.mixture import Mixture
from withstand.perturbations.sobol import Sobol
from withstand.perturbations.speckle import Speckle
from withstand.perturbations.uniform import Uniform
from withstand.perturbations.uniform_noise import UniformNoise

# These treat rows independently and in order; the stacked model finds the trial of a row by its position.
PERTURBATIONS = (
    Identity, Gaussian, Speckle, UniformNoise, Uniform, Sobol, Vertices, PGD, Langevin, Tilted, Mixture
)  # fmt: skip


def kinds_of(experiments: Sequence[Experiment]) -> list[list[Experiment]]:
    """Group the experiments that can share batches, each experiment once.

    They differ in seed, name, evaluations, and radii of balls that are one number.
    """
    kinds: dict[str, dict[str, Experiment]] = {}
    for each in experiments:
        alike = replace(each, seed=0, evaluations=(Accuracy(),), objective=with_radii(each.objective, lambda _: 1.0))
        kinds.setdefault(canonical(replace(alike, name="run")), {})[canonical(each)] = each
    return [list(each.values()) for each in kinds.values()]


def check(experiment: Experiment, engine: Engine) -> None:
    """Reject experiments that cannot be trained in one batch with other trials."""
    objective, training, model = experiment.objective, experiment.training, experiment.model
    mode = getattr(objective, "mode", "exact") if getattr(objective, "num_draws", 1) > 1 else "exact"
    needs = [
        (engine.world_size == 1, f"one process, got {engine.world_size}"),
        (not engine.compile, "no --compile"),
        (isinstance(model, MLP), f"the model MLP, got {type(model).__name__}"),
        (isinstance(objective, PerturbedRisk), f"the objective PerturbedRisk, got {type(objective).__name__}"),
        (mode == "exact", f"the mode exact, got {mode}"),
        (training.amp == "no", f"amp no, got {training.amp}"),
        (training.ema_decay is None, f"no ema_decay, got {training.ema_decay}"),
        (training.swa_start is None, f"no swa_start, got {training.swa_start}"),
        (not training.reestimate_batch_norm, "no reestimate_batch_norm, got True"),
        (training.patience is None, f"no patience, got {training.patience}"),
    ]
    known = ", ".join(sorted(cls.__name__ for cls in PERTURBATIONS))
    for each in perturbations_in(objective):
        needs.append((isinstance(each, PERTURBATIONS), f"a perturbation among {known}, got {type(each).__name__}"))
        needs.append((not (isinstance(each, PGD) and each.until_wrong), "PGD without until_wrong"))
    for holds, need in needs:
        if not holds:
            raise InputError(f"vectorize: runs in one batch need {need}; train them without --vectorize.")


def perturbations_in(value: object) -> Iterator[Perturbation]:
    """Yield every perturbation that a configuration holds."""
    if isinstance(value, Perturbation):
        yield value
    if isinstance(value, tuple):
        for each in value:
            yield from perturbations_in(each)
    elif is_dataclass(value):
        for each in fields(value):
            yield from perturbations_in(getattr(value, each.name))


def with_radii(objective: Objective, radius: Callable[[int], float | tuple[tuple[float], ...]]) -> Objective:
    """Return an objective with other radii of those balls whose radius is a number.

    Args:
        objective: May hold several balls.
        radius: Returns the radius for a ball's number.
    """
    numbers = count()

    def rule(_: str, value: Any) -> Any:
        is_one = isinstance(value, Ball) and not isinstance(value.radius, Sequence)
        return replace(value, radius=radius(next(numbers))) if is_one else value

    return rebuilt(objective, rule)


def radii_of(objective: Objective) -> list[float]:
    """Return the radii that `with_radii` replaces."""
    found: list[float] = []

    def rule(_: str, value: Any) -> Any:
        if isinstance(value, Ball) and not isinstance(value.radius, Sequence):
            found.append(value.radius)
        return value

    rebuilt(objective, rule)
    return found


def in_turn(objectives: Sequence[Objective]) -> Objective:
    """Return one objective for interleaved rows of several objectives that differ only in radii of balls."""
    radii = [radii_of(each) for each in objectives]

    def radius(number: int) -> float | tuple[tuple[float], ...]:
        own = [each[number] for each in radii]
        return own[0] if len(set(own)) == 1 else tuple((each,) for each in own)

    return with_radii(objectives[0], radius)
