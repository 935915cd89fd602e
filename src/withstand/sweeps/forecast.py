"""Forecast of the runs of a sweep, from a few steps of each kind of run."""

import time
from collections.abc import Iterable
from dataclasses import replace
from itertools import islice

from withstand.configuration import canonical
from withstand.engine import Engine
from withstand.evaluation.accuracy import Accuracy
from withstand.experiment import Experiment, make_trainer, question_of
from withstand.measuring.probe import cost_of
from withstand.pools.forecast import Forecast, one_thread
from withstand.sweeps.plan import Plan
from withstand.training.rehearsal import rehearse

STEPS, SECONDS = 20, 2.0
BYTES_PER_RUN = 20_000  # besides the weights


def forecast(plan: Plan, runs: Iterable[str], *, device: str, processes: int, start: float) -> Forecast:
    """Return what some runs will cost, training and evaluation; nothing is written.

    Args:
        plan: Plan of the sweep.
        runs: Names of the runs; one of those that differ only in seed is measured.
        device: Of the runs.
        processes: That share the work.
        start: Seconds until the first block begins.
    """
    engine = Engine.start(device=device)
    kinds: dict[str, tuple[float, int]] = {}
    costs: list[tuple[float, int]] = []
    with one_thread(True):  # as in a sweep
        for run in runs:
            experiment = plan.experiments[run]
            kind = canonical(replace(experiment, seed=0, name="run"))
            if kind not in kinds:
                kinds[kind] = measured(experiment, engine)
            costs.append(kinds[kind])
    return Forecast(
        title="Missing runs",
        counts={"runs": len(costs)},
        blocks=len(costs),
        seconds=sum(seconds for seconds, _ in costs),
        device=engine.device.type,
        processes=processes,
        start=start,
        disk=sum(size + BYTES_PER_RUN for _, size in costs),
    )


def measured(experiment: Experiment, engine: Engine) -> tuple[float, int]:
    """Return the seconds of a run, from its first steps and a look at its evaluations, and the bytes of its weights."""
    train, validation, test = (experiment.data.load(part) for part in ("train", "validation", "test"))
    trainer = make_trainer(experiment, train, validation if len(validation) else None, engine)
    rehearse(trainer)
    epochs = experiment.training.epochs
    seconds = _of_a_step(trainer.steps()) * trainer.steps_per_epoch * epochs if epochs else 0.0
    asked = {"fit_on": lambda: train, "seed": experiment.seed, "engine": engine}
    if len(validation):
        clean = [Accuracy().adapted(validation)]
        seconds += epochs * cost_of(clean, trainer.model, validation, **asked).per_sample * len(validation)
    cost = cost_of(question_of(experiment, test).evaluations, trainer.model, test, **asked)
    size = sum(each.numel() * each.element_size() for each in trainer.model.state_dict().values())
    return seconds + cost.once + cost.per_sample * len(test), size


def _of_a_step(steps: Iterable[object]) -> float:
    """Return the seconds of a training step."""
    ends = [time.perf_counter()]
    for _ in islice(steps, 1 + STEPS):
        ends.append(time.perf_counter())
        if ends[-1] - ends[1] > SECONDS:
            break
    first = min(1, len(ends) - 2)  # the first step is slower, and counts only if an epoch has no other
    return (ends[-1] - ends[first]) / (len(ends) - 1 - first)
