"""Passes over the samples: the first, and those that evaluations ask for after it."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from withstand.data.base import Split
from withstand.engine import Engine
from withstand.evaluation.base import Columns, Evaluation
from withstand.measuring.blocks import Spread, Work, measured
from withstand.measuring.parts import Parts

if TYPE_CHECKING:
    import polars

Frames = dict[str, "polars.DataFrame"]
Run = Callable[[Sequence[Evaluation], Sequence[Any], Parts], "tuple[polars.DataFrame, Frames]"]


def one_pass(
    model: nn.Module,
    split: Split,
    evaluations: Sequence[Evaluation],
    states: Sequence[Any],
    parts: Parts,
    *,
    seed: int,
    engine: Engine,
    counting: Callable[[], AbstractContextManager[Callable[[int], None]]],
    spread: Spread | None = None,
    home: Path | None = None,
) -> "tuple[polars.DataFrame, Frames]":
    """Measure the samples that the parts lack; return all samples (number, label), and the outcomes by condition."""
    missing = engine.of_first(parts.missing(len(split)))
    done = len(split) - sum(stop - start for start, stop in missing)
    work = Work(evaluations, states, model, split, parts.conditions, seed)
    with counting() as count:
        count(done)
        for size in measured(work, parts, missing, engine=engine, spread=spread, home=home):
            done += size
            count(done)
    return engine.first(parts.frames)


def further_passes(
    evaluations: Sequence[Evaluation], states: Sequence[Any], frames: Frames, parts: Parts, run: Run
) -> None:
    """Run the passes that evaluations ask for, all together, and add the outcomes to those of the first.

    Args:
        evaluations: The evaluations of the first pass.
        states: State of each of them, from `prepare`.
        frames: Outcomes of the first pass, by condition.
        parts: Parts of the first pass, which keep those of the others.
        run: Measures one pass.
    """
    turn = 1
    while asked := _asked(evaluations, states, frames):
        own = parts.of_pass(turn, [name for each, _ in asked for name in each.conditions])
        _, found = run([each for each, _ in asked], [state for _, state in asked], own)
        for name, frame in found.items():
            frames[name] = frames[name].join(frame, on="number", maintain_order="left")
        turn += 1


def _asked(evaluations: Sequence[Evaluation], states: Sequence[Any], frames: Frames) -> list[tuple[Evaluation, Any]]:
    """Return the evaluations that need another pass, each with its state for it."""
    found = []
    for each, state in zip(evaluations, states, strict=True):
        if type(each).further is not Evaluation.further:  # the default needs no outcomes
            outcomes = {name: columns_of(frames[name]) for name in each.conditions}
            if (further := each.further(outcomes, state=state)) is not None:
                found.append((each, further))
    return found


def columns_of(frame: "polars.DataFrame") -> Columns:
    """Return the outcomes in a frame; predictions that are not finite are -1."""
    answered = frame.with_columns(frame["prediction"].fill_null(-1)) if "prediction" in frame.columns else frame
    return {
        name: torch.from_numpy(answered[name].to_numpy(writable=True)) for name in frame.columns if name != "number"
    }
