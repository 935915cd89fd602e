"""Forecast of an evaluation."""

from collections.abc import Sequence
from dataclasses import replace

from withstand.data.base import Split
from withstand.engine import Engine
from withstand.evaluation.base import Evaluation
from withstand.measuring.ask import kept_of, missing_of, parts_of
from withstand.measuring.blocks import divided
from withstand.measuring.probe import Cost, cost_of
from withstand.measuring.subject import Subject, check_model
from withstand.pools.forecast import Forecast, one_thread

BYTES_PER_OUTCOME = 6  # of a sample under a condition, compressed


def forecast(subjects: Sequence[Subject], *, seed: int, engine: Engine, processes: int, start: float) -> Forecast:
    """Return what the missing outcomes of some models will cost; nothing is written.

    Args:
        subjects: The models.
        seed: Seed of every draw.
        engine: Device and batch size.
        processes: That share the work.
        start: Seconds until the first block begins.
    """
    if processes > 1:  # which decode for themselves
        engine = replace(engine, num_workers=0)
    num_samples = num_conditions = num_outcomes = num_blocks = 0
    seconds = 0.0
    for subject in subjects:
        kept = kept_of(subject, seed=seed, engine=engine)
        costs: dict[tuple[str, ...], Cost] = {}
        for task in subject.question.tasks:
            missing = missing_of(task, kept)
            evaluations = [
                each.only(wanted)
                for each in task.evaluations
                if (wanted := [own for own in each.conditions if task.name_of(own) in missing])
            ]
            if not evaluations:
                continue
            left = parts_of(task, evaluations, kept, seed=seed, engine=engine).missing(len(task.load()))
            names = tuple(own for each in evaluations for own in each.conditions)
            if names not in costs:  # cells of already corrupted data cost the same
                with one_thread(processes > 1):
                    costs[names] = _cost(subject, evaluations, task.load(), seed=seed, engine=engine)
            count = sum(stop - first for first, stop in left)
            size = costs[names].per_batch
            seconds += costs[names].once + costs[names].per_sample * count
            num_blocks += len(divided(left, size, conditions=len(names), processes=processes))
            num_samples += count
            num_conditions += len(missing)
            num_outcomes += count * len(missing)
    return Forecast(
        title="Evaluation",
        counts={"models": len(subjects), "conditions": num_conditions, "samples": num_samples},
        blocks=num_blocks,
        seconds=seconds,
        device=engine.device.type,
        processes=processes,
        start=start,
        disk=num_outcomes * BYTES_PER_OUTCOME,
    )


def _cost(subject: Subject, evaluations: Sequence[Evaluation], split: Split, *, seed: int, engine: Engine) -> Cost:
    model = subject.load()
    check_model(model, subject.question, engine)
    fit_on = subject.fit_on or (lambda: split)
    return cost_of(evaluations, model, split, fit_on=fit_on, seed=seed, engine=engine)
