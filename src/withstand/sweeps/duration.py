"""Time estimate of a sweep, from a few steps of each kind of run."""

import time
from collections.abc import Iterable
from dataclasses import replace
from itertools import islice

import torch

from withstand.configuration import canonical
from withstand.engine import Engine
from withstand.experiment import Experiment, make_trainer
from withstand.sweeps.plan import Plan
from withstand.training.rehearsal import rehearse

STEPS, SECONDS = 20, 2.0


def seconds_per_run(plan: Plan, runs: Iterable[str], *, device: str) -> dict[str, float]:
    """Return the estimated training seconds of each run in one process, without evaluation.

    Args:
        plan: Plan of the sweep.
        runs: Names of the runs; one of those that differ only in seed is measured.
        device: Device of the training.
    """
    engine = Engine.start(device=device)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # as in a sweep
    try:
        return _of_kinds(plan, runs, engine)
    finally:
        torch.set_num_threads(threads)


def _of_kinds(plan: Plan, runs: Iterable[str], engine: Engine) -> dict[str, float]:
    seconds: dict[str, float] = {}
    kinds: dict[str, float] = {}
    for run in runs:
        experiment = plan.experiments[run]
        kind = canonical(replace(experiment, seed=0, name="run"))
        if kind not in kinds:
            kinds[kind] = measured(experiment, engine)
        seconds[run] = kinds[kind]
    return seconds


def measured(experiment: Experiment, engine: Engine) -> float:
    """Return the estimated seconds of a training, from its first steps."""
    training = replace(experiment.training, keep="last", patience=None)
    trainer = make_trainer(replace(experiment, training=training), experiment.data.load("train"), None, engine)
    rehearse(trainer)
    steps = trainer.steps()
    next(steps)  # the first one is slower
    count, begun = 0, time.perf_counter()
    for _ in islice(steps, STEPS):
        count += 1
        if time.perf_counter() - begun > SECONDS:
            break
    taken = (time.perf_counter() - begun) / max(count, 1)
    return taken * trainer.steps_per_epoch * experiment.training.epochs
