"""Probe: how long evaluations of a model take, from a few samples."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import nn

from withstand.data.base import Split
from withstand.engine import Engine
from withstand.evaluation.accuracy import Accuracy
from withstand.evaluation.base import Evaluation
from withstand.evaluation.loop import blocks, samples_per_block
from withstand.measuring.generators import prepared
from withstand.pools.forecast import in_turns

SECONDS = 2.0
SECONDS_PER_UNIT = 0.25  # so that eight kinds of conditions are seen, at least
FEWEST, GROWTH = 4, 4  # samples of the first look; each further look has more


@dataclass(frozen=True)
class Cost:
    """What evaluations of a model take.

    Attributes:
        once: Seconds before the first sample.
        per_sample: Seconds per sample, under all conditions.
        per_batch: Samples measured together.
    """

    once: float
    per_sample: float
    per_batch: int


def cost_of(
    evaluations: Sequence[Evaluation],
    model: nn.Module,
    split: Split,
    *,
    fit_on: Callable[[], Split],
    seed: int,
    engine: Engine,
) -> Cost:
    """Return what evaluations take, from about two seconds of them.

    The first samples are measured under as many conditions as the time allows, of different kinds first; the others
    are taken to cost as much. An attack takes about the same time for four samples as for sixteen, so its first looks
    also tell how much of the time is once per batch.

    Args:
        evaluations: Adapted to the samples.
        model: On the engine's device.
        split: The samples.
        fit_on: Returns training samples, for evaluations that train.
        seed: Seed of every draw.
        engine: Device and batch size.
    """
    begun = time.perf_counter()
    options = {"fit_on": fit_on, "folder": None, "seed": seed, "engine": engine}
    states = [prepared(each, model, split, **options) for each in evaluations]
    once = time.perf_counter() - begun
    size = samples_per_block(evaluations, split, engine)
    units = list(_units(evaluations, states))
    run = partial(_seconds, model, split, seed=seed, engine=engine)
    run([], [], FEWEST)  # the first one is slower
    run(*units[0], FEWEST)
    limit = min(len(split), size)
    count, overhead = _looks(partial(run, *units[0]), limit, SECONDS if len(units) == 1 else SECONDS_PER_UNIT)
    fetch = run([], [], count)
    found: list[float] = []
    begun = time.perf_counter()
    for evaluation, state in units:
        found.append(run(evaluation, state, count) - fetch)
        if time.perf_counter() - begun > SECONDS:
            break
    conditions = max(0.0, sum(found) / len(found) * len(units))
    per_sample = (fetch + conditions * (1 - overhead)) / count + conditions * overhead / limit
    return Cost(once, per_sample, size)


def _looks(run: Callable[[int], float], limit: int, seconds: float) -> tuple[int, float]:
    """Return how many samples to measure in about some seconds, and the share of their time that is once per batch.

    Args:
        run: Returns the seconds that some samples take.
        limit: Most samples.
        seconds: About what the last look may take.
    """
    before, count = max(1, FEWEST // GROWTH), min(FEWEST, limit)
    took_before, took = run(before), run(count)
    while True:
        slope = max(0.0, took - took_before) / max(1, count - before)
        once = max(0.0, took - slope * count)
        more = min(limit, count * GROWTH)
        if more <= count or once + slope * more > seconds:
            return count, min(1.0, once / max(took, 1e-9))
        before, took_before, count, took = count, took, more, run(more)


def _units(evaluations: Sequence[Evaluation], states: Sequence[Any]) -> Iterator[tuple[list[Evaluation], list[Any]]]:
    """Yield evaluations of one condition each, where this is possible, of different kinds first."""
    kinds: dict[str, list[tuple[list[Evaluation], list[Any]]]] = {}
    for each, state in zip(evaluations, states, strict=True):
        parts = [each.only([name]) for name in each.conditions] if isinstance(each, Accuracy) else [each]
        for part in parts:
            kind = part.conditions[0].partition("/")[0] if isinstance(part, Accuracy) else str(id(part))
            kinds.setdefault(kind, []).append(([part], [state]))
    yield from in_turns(kinds.values())


def _seconds(
    model: nn.Module,
    split: Split,
    evaluations: Sequence[Evaluation],
    states: Sequence[Any],
    count: int,
    *,
    seed: int,
    engine: Engine,
) -> float:
    begun = time.perf_counter()
    for _ in blocks(evaluations, states, model, split, seed=seed, engine=engine, stop=min(count, len(split))):
        pass
    if engine.device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - begun
