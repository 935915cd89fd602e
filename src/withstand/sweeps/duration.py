"""How long the runs of a sweep may take: a few steps of each kind, extrapolated."""

import time
from collections.abc import Iterable
from dataclasses import replace
from itertools import islice

import torch

from withstand.configuration import canonical
from withstand.engine import Engine
from withstand.experiment import Experiment, build_model
from withstand.sweeps.plan import Plan
from withstand.training.rehearsal import rehearse
from withstand.training.trainer import Trainer

STEPS, SECONDS = 20, 2.0


def seconds_per_run(plan: Plan, runs: Iterable[str], *, device: str) -> dict[str, float]:
    """Return about how many seconds the training of each run takes on one process; evaluation is not counted.

    Args:
        plan: Of the sweep.
        runs: Names of the runs; of those that differ in their seed only, one is measured.
        device: Where.
    """
    engine = Engine.start(device=device)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # as the processes of a sweep; several would wait for each other on a busy machine
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
    """Return about how many seconds a training takes, from its first steps."""
    train = experiment.data.load("train")
    trainer = Trainer(
        build_model(experiment, train, engine),
        train,
        objective=experiment.objective,
        training=replace(experiment.training, keep="last", patience=None),
        seed=experiment.seed,
        engine=engine,
    )
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
