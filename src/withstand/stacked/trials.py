"""Batched training of experiments that differ in seed or radius."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, fields, is_dataclass, replace
from itertools import count
from pathlib import Path
from typing import Any

import torch

from withstand.configuration import canonical, rebuilt
from withstand.data.base import Split, TensorSplit
from withstand.engine import Engine
from withstand.errors import InputError, TrainingError
from withstand.evaluation.accuracy import Accuracy, rank
from withstand.experiment import Experiment, begin, build_model, finish, is_finished, question_of
from withstand.files import hold
from withstand.models.frozen import evaluating
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
from withstand.stacked.network import Stacked
from withstand.stacked.trainer import Together
from withstand.training.checkpoint import clear, load
from withstand.training.watch import Watch

# These treat rows independently and in order; the stacked model finds the trial of a row by its position.
PERTURBATIONS = (
    Identity, Gaussian, Speckle, UniformNoise, Uniform, Sobol, Vertices, PGD, Langevin, Tilted, Mixture
)  # fmt: skip
# On a CPU, larger batches exceed the cache and are slower.
TRIALS_ON_CPU = 16


class TrialsError(TrainingError):
    """Some trials failed; all others are finished.

    Attributes:
        failures: Why, by the folder of the run.
    """

    def __init__(self, failures: dict[Path, str], *, total: int) -> None:
        """List the failures."""
        self.failures = failures
        reasons = " ".join(f"{folder}: {sentence}" for folder, sentence in failures.items())
        super().__init__(f"{len(failures)} of {total} trials failed: {reasons}")


@dataclass(frozen=True, kw_only=True)
class Kind:
    """Unfinished experiments that differ only in seed and radii, and their data."""

    experiments: list[Experiment]
    train: Split
    validation: Split
    test: Split


def run_together(
    experiments: Sequence[Experiment],
    root: Path,
    *,
    engine: Engine | None = None,
    at_once: int | None = None,
    watch: Watch | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> list[Path]:
    """Train and evaluate experiments as `run` does, in one batch if they differ only in seed or radius.

    Results equal those of `run` up to rounding, and the folders are the same: finished runs are not repeated, and
    each resumes the other's checkpoints.

    Args:
        experiments: The runs, in any order and mixture.
        root: Folder of all runs.
        engine: The device.
        at_once: Maximum number of trials in a batch, at least 1; None is 16 on a CPU, all on a GPU.
        watch: Receives a callback per step and epoch.
        say: Callback for progress messages.

    Returns:
        The folder of each experiment.

    Raises:
        InputError: If an experiment cannot be trained in one batch with others; nothing is written then.
        TrialsError: If the loss of a trial is not finite; all others are finished first.
    """
    engine = engine or Engine()
    if at_once is not None and at_once < 1:
        raise InputError(f"together: the number of trials at once must be at least 1, got {at_once}.")
    folders = [each.folder(root) for each in experiments]
    waiting = [each for each, folder in zip(experiments, folders, strict=True) if not is_finished(each, folder)]
    if len(waiting) < len(experiments):
        say(f"{len(experiments) - len(waiting)} of {len(experiments)} runs are finished already.")
    for each in waiting:
        check(each, engine)
    # All input is checked before anything is written.
    kinds = [prepared(each, engine) for each in kinds_of(waiting)]
    most = at_once or most_at_once(engine, len(waiting))
    failures: dict[Path, str] = {}
    for kind in kinds:
        with ExitStack() as locks:
            for each in kind.experiments:
                locks.enter_context(hold(each.folder(root)))
                begin(each, each.folder(root), kind.train)
            for batch, states in batches_of_trials(kind.experiments, root, most):
                say(f"{len(batch)} trials together: training on {len(kind.train):,} samples, {engine.device}.")
                trainer = make_trainer(kind, batch, engine, states)
                failures |= run_batch(trainer, kind, batch, root, engine=engine, watch=watch, say=say)
    if failures:
        raise TrialsError(failures, total=len(waiting))
    return folders


def run_batch(
    trainer: Together,
    kind: Kind,
    batch: Sequence[Experiment],
    root: Path,
    *,
    engine: Engine,
    watch: Watch | None,
    say: Callable[[str], None],
) -> dict[Path, str]:
    """Train and evaluate a batch of trials, and return why trials failed, by folder."""
    paths = [each.folder(root) for each in batch]
    checkpoints = [each / "checkpoints" for each in paths]
    trainer.fit(folders=checkpoints, identities=[each.identity for each in batch], watch=watch)
    say(f"{len(trainer.going)} trials: evaluating each on {len(kind.test):,} samples.")
    for trial in trainer.going:
        model = build_model(batch[trial], kind.train, engine)
        model.load_state_dict(trainer.result(trial))
        history, question = trainer.history(trial), question_of(batch[trial], kind.test)
        finish(batch[trial], paths[trial], model.eval(), history=history, question=question, engine=engine)
    return {paths[trial]: sentence for trial, sentence in trainer.failures.items()}


def most_at_once(engine: Engine, number: int) -> int:
    """Return the best number of trials in one batch on a device."""
    return max(1, min(number, TRIALS_ON_CPU) if engine.device.type == "cpu" else number)


def check(experiment: Experiment, engine: Engine) -> None:
    """Reject experiments that cannot be trained in one batch with other trials.

    Raises:
        InputError: With the setting that prevents it.
    """
    objective, training = experiment.objective, experiment.training
    problem = None
    if engine.world_size > 1:
        problem = f"one process, got {engine.world_size}"
    elif not isinstance(experiment.model, MLP):
        problem = f"the model MLP, got {type(experiment.model).__name__}"
    elif not isinstance(objective, PerturbedRisk):
        problem = f"the objective PerturbedRisk, got {type(objective).__name__}"
    elif objective.mode != "exact" and objective.num_draws > 1:
        problem = f"the mode exact, got {objective.mode}"
    elif training.amp != "no":
        problem = f"amp no, got {training.amp}"
    elif training.ema_decay is not None:
        problem = f"no ema_decay, got {training.ema_decay}"
    elif training.patience is not None:
        problem = f"no patience, got {training.patience}"
    else:
        for each in perturbations_in(objective):
            if not isinstance(each, PERTURBATIONS):
                known = ", ".join(sorted(cls.__name__ for cls in PERTURBATIONS))
                problem = f"a perturbation among {known}, got {type(each).__name__}"
            elif isinstance(each, PGD) and each.until_wrong:
                problem = "PGD without until_wrong"
    if problem:
        raise InputError(f"together: trials in one batch need {problem}; train them one by one.")


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


def kinds_of(experiments: Sequence[Experiment]) -> list[list[Experiment]]:
    """Group the experiments that can share batches, each experiment once.

    They differ in seed, name, evaluations, and radii of balls that are one number.
    """
    kinds: dict[str, dict[str, Experiment]] = {}
    for each in experiments:
        alike = replace(each, seed=0, evaluations=(Accuracy(),), objective=with_radii(each.objective, lambda _: 1.0))
        kinds.setdefault(canonical(replace(alike, name="run")), {})[canonical(each)] = each
    return [list(each.values()) for each in kinds.values()]


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


def prepared(experiments: list[Experiment], engine: Engine) -> Kind:
    """Return experiments of a kind with their data, after a rehearsal of the first."""
    train, validation, test = (experiments[0].data.load(part) for part in ("train", "validation", "test"))
    if len(test) == 0:
        raise InputError("data: the test part has no samples.")
    if not isinstance(train, TensorSplit):
        raise InputError("together: trials in one batch need data held in memory; train them one by one.")
    kind = Kind(experiments=experiments, train=train, validation=validation, test=test)
    make_trainer(kind, experiments[:1], engine, []).rehearse()
    return kind


def batches_of_trials(
    experiments: Sequence[Experiment], root: Path, most: int
) -> Iterator[tuple[list[Experiment], list[dict]]]:
    """Yield trials that can be trained together, with their checkpoints, if any: all at the same step."""
    positions: dict[tuple[int, int], tuple[list[Experiment], list[dict]]] = {}
    for each in experiments:
        folder = each.folder(root) / "checkpoints"
        clear(folder)
        state = load(folder, identity=each.identity)
        position = (-1, 0) if state is None else (state["progress"]["epoch"], state["progress"]["step"])
        trials, states = positions.setdefault(position, ([], []))
        trials.append(each)
        states += [] if state is None else [state]
    for trials, states in positions.values():
        for start in range(0, len(trials), most):
            yield trials[start : start + most], states[start : start + most]


def make_trainer(kind: Kind, trials: Sequence[Experiment], engine: Engine, states: Sequence[dict]) -> Together:
    """Return the trainer of some trials of a kind."""
    for each in trials:
        each.objective.check(kind.train.space)
    objective = in_turn([each.objective for each in trials])
    assert isinstance(objective, PerturbedRisk)
    return Together(
        [build_model(each, kind.train, engine) for each in trials],
        kind.train,
        objective=objective,
        training=trials[0].training,
        seeds=[each.seed for each in trials],
        engine=engine,
        validate=(lambda model: accuracies(model, kind.validation, engine)) if len(kind.validation) else None,
        states=states,
    )


@torch.no_grad()
def accuracies(model: Stacked, split: Split, engine: Engine) -> list[float]:
    """Return each network's share of correct answers on a split."""
    number = model.num_networks
    hits = torch.zeros(number, dtype=torch.int64, device=engine.device)
    plan = torch.arange(len(split)).split(max(1, engine.samples_per_batch(split.shape) // number))
    with evaluating(model):
        for sample in split.batches(plan, device=engine.device):
            logits = model(sample.x.repeat_interleave(number, dim=0)).unsqueeze(0)
            hits += (rank(logits, sample.y.repeat_interleave(number)) == 0).view(-1, number).sum(0)
    return [count / len(split) for count in hits.tolist()]
