"""Batched training of experiments that differ in seed or radius."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import torch

from withstand.data.base import Split, TensorSplit
from withstand.engine import Engine
from withstand.errors import InputError, TrainingError
from withstand.evaluation.accuracy import rank
from withstand.experiment import (
    Experiment,
    Parts,
    begin,
    build_model,
    finish,
    is_finished,
    load_parts,
    question_of,
)
from withstand.files import hold
from withstand.models.frozen import evaluating
from withstand.objectives.perturbed_risk import PerturbedRisk
from withstand.stacked.kinds import check, in_turn, kinds_of
from withstand.stacked.network import Stacked
from withstand.stacked.trainer import Together
from withstand.training.checkpoint import check_state, clear, load, refused
from withstand.training.watch import Watch

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
    for each in waiting:
        check(each, engine)
    # All input is checked before anything is written.
    kinds = [(each, prepared(each, engine)) for each in kinds_of(waiting)]
    if len(waiting) < len(experiments):
        say(f"{len(experiments) - len(waiting)} of {len(experiments)} runs are finished already.")
    most = at_once or most_at_once(engine, len(waiting))
    failures: dict[Path, str] = {}
    for kind, parts in kinds:
        failures |= run_kind(kind, parts, root, most, engine=engine, watch=watch, say=say)
    if failures:
        raise TrialsError(failures, total=len(waiting))
    return folders


def run_kind(
    experiments: Sequence[Experiment],
    parts: Parts,
    root: Path,
    most: int,
    *,
    engine: Engine,
    watch: Watch | None,
    say: Callable[[str], None],
) -> dict[Path, str]:
    """Train and evaluate experiments of a kind, and return why trials failed, by folder."""
    failures: dict[Path, str] = {}
    with ExitStack() as locks:
        for each in experiments:
            locks.enter_context(hold(each.folder(root)))
            begin(each, each.folder(root), parts.train)
        for batch, states in batches_of_trials(experiments, root, most):
            say(f"{len(batch)} trials together: training on {len(parts.train):,} samples, {engine.device}.")
            trainer = make_trainer(parts, batch, engine, states)
            paths = [each.folder(root) for each in batch]
            checkpoints = [each / "checkpoints" for each in paths]
            trainer.fit(folders=checkpoints, identities=[each.identity for each in batch], watch=watch)
            say(f"{len(trainer.going)} trials: evaluating each on {len(parts.test):,} samples.")
            for trial in trainer.going:
                model = build_model(batch[trial], parts.train, engine)
                model.load_state_dict(trainer.result(trial))
                history, question = trainer.history(trial), question_of(batch[trial], parts.test)
                finish(batch[trial], paths[trial], model.eval(), history=history, question=question, engine=engine)
            failures |= {paths[trial]: sentence for trial, sentence in trainer.failures.items()}
    return failures


def most_at_once(engine: Engine, number: int) -> int:
    """Return the best number of trials in one batch on a device."""
    return max(1, min(number, TRIALS_ON_CPU) if engine.device.type == "cpu" else number)


def prepared(experiments: Sequence[Experiment], engine: Engine) -> Parts:
    """Return the data of experiments of a kind, after a rehearsal of the first."""
    parts = load_parts(experiments[0].data)
    if not isinstance(parts.train, TensorSplit):
        raise InputError("vectorize: runs in one batch need data held in memory; train them without --vectorize.")
    make_trainer(parts, experiments[:1], engine, []).rehearse()
    return parts


def batches_of_trials(
    experiments: Sequence[Experiment], root: Path, most: int
) -> Iterator[tuple[list[Experiment], list[dict]]]:
    """Yield trials that can be trained together, with their checkpoints, if any: all at the same step."""
    positions: dict[tuple[int, int], tuple[list[Experiment], list[dict]]] = {}
    for each in experiments:
        folder = each.folder(root) / "checkpoints"
        clear(folder)
        state = load(folder, identity=each.identity)
        if state is not None:
            with refused(folder):
                check_state(state)
        position = (-1, 0) if state is None else (state["progress"]["epoch"], state["progress"]["step"])
        trials, states = positions.setdefault(position, ([], []))
        trials.append(each)
        states += [] if state is None else [state]
    for trials, states in positions.values():
        for start in range(0, len(trials), most):
            yield trials[start : start + most], states[start : start + most]


def make_trainer(parts: Parts, trials: Sequence[Experiment], engine: Engine, states: Sequence[dict]) -> Together:
    """Return the trainer of some trials of a kind."""
    for each in trials:
        each.objective.check(parts.train.space)
    objective = in_turn([each.objective for each in trials])
    assert isinstance(objective, PerturbedRisk)
    return Together(
        [build_model(each, parts.train, engine) for each in trials],
        parts.train,
        objective=objective,
        training=trials[0].training,
        seeds=[each.seed for each in trials],
        engine=engine,
        validate=(lambda model: accuracies(model, parts.validation, engine)) if len(parts.validation) else None,
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
