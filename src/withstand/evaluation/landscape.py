"""Decisions of a model with two features over their plane, for figures."""

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from withstand.data.base import Split
from withstand.data.sample import Sample
from withstand.data.space import Space
from withstand.engine import Engine
from withstand.evaluation.base import rank
from withstand.evaluation.worst_case import WorstCase
from withstand.functional.random import RowStreams, stream
from withstand.models.frozen import evaluating
from withstand.study.landscape import DrawnBall, Landscape, Plane

NUM_TICKS = 401  # points of the grid along each feature
MARGIN = 0.05  # what the grid adds on every side, as a share of the test points' range
MOST_POINTS = 1000  # of the test part: more would hide the plane


def has_landscape(split: Split) -> bool:
    """Return whether the inputs are two numbers, neither of them a category."""
    return split.shape == (2,) and (split.features is None or "category" not in split.features.kinds)


@torch.no_grad()
def draw_landscape(
    model: nn.Module,
    split: Split,
    *,
    attack: WorstCase | None = None,
    seed: int,
    engine: Engine,
    num_ticks: int = NUM_TICKS,
) -> Landscape:
    """Return a model's decisions over a plane around all points of a split and their balls.

    Args:
        model: Maps inputs to logits; on the engine's device.
        split: Samples of two numbers.
        attack: Measures which points are right all over one ball, adapted to the split; None measures clean ones only.
        seed: Seed of the evaluation, whose draws are repeated.
        engine: Device and batch size.
        num_ticks: Points of the grid along each feature, at least 2.
    """
    with evaluating(model):
        radii = torch.zeros(2)
        if attack is not None:
            radii = attack.balls[0].radii(torch.zeros(1, 2), space=split.space) * torch.ones(2)
        ticks = _ticks(split, engine, radii, num_ticks)
        predicted, confidence, margin = _decide(model, ticks.float(), engine)
        chosen = torch.randperm(len(split), generator=stream(0, "landscape/points"))[:MOST_POINTS].sort().values
        options: dict[str, Any] = {"space": split.space, "seed": seed, "engine": engine}
        state = None if attack is None else attack.prepare(model, split, **options)
        parts = [
            (each.x, each.y, *_right(model, each, split.space, attack, state, seed))
            for each in split.batches(chosen.split(engine.samples_per_batch((2,))), device=engine.device)
        ]
    points, labels, right, right_in_ball = (torch.cat(part).cpu().numpy() for part in zip(*parts, strict=True))
    features = split.features
    offset, scale = (np.zeros(2), np.ones(2)) if features is None else map(np.array, (features.offset, features.scale))
    first, second = (ticks.numpy() * scale + offset).T
    ball = attack and DrawnBall(attack.balls[0].name, attack.balls[0].norm, _pair(radii.numpy() * scale), right_in_ball)
    names = ("input 1", "input 2") if features is None else (features.names[0], features.names[1])
    return Landscape(
        plane=Plane(names, first, second, _pair(scale)),
        classes=split.classes,
        predicted=predicted,
        confidence=confidence,
        margin=margin,
        points=points * scale + offset,
        labels=labels,
        right=right,
        num_points=len(split),
        ball=ball,
    )


def _ticks(split: Split, engine: Engine, radii: Tensor, num_ticks: int) -> Float[Tensor, "tick feature"]:
    """Return the values of the grid along each feature, with a margin around the points and their balls."""
    plan = torch.arange(len(split)).split(engine.samples_per_batch(split.shape))
    ends = [torch.stack([x.amin(0), x.amax(0)]).cpu().double() for x, *_ in split.batches(plan, device=engine.device)]
    low, high = torch.stack(ends)[:, 0].amin(0), torch.stack(ends)[:, 1].amax(0)
    reach = (MARGIN * (high - low)).maximum(1.5 * radii.double())
    reach = torch.where(reach > 0, reach, 1.0)
    shares = torch.linspace(0, 1, num_ticks, dtype=torch.float64)[:, None]
    return (low - reach) * (1 - shares) + (high + reach) * shares


def _decide(
    model: nn.Module, ticks: Float[Tensor, "tick feature"], engine: Engine
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return class, probability and margin at every point of the grid: (second, first)."""
    second, first = torch.meshgrid(ticks[:, 1], ticks[:, 0], indexing="ij")
    grid = torch.stack([first, second], dim=2)
    found: list[list[Tensor]] = []
    for x in grid.flatten(0, 1).split(engine.samples_per_batch((2,))):
        # NaN becomes 0: all classes alike.
        logits = model(x.to(engine.device)).float().nan_to_num()
        top = logits.topk(2, dim=1)
        confidence = logits.softmax(1).amax(1)
        found.append([each.cpu() for each in (top.indices[:, 0], confidence, top.values[:, 0] - top.values[:, 1])])
    predicted, confidence, margin = (torch.cat(part).view(grid.shape[:2]).numpy() for part in zip(*found, strict=True))
    return predicted, confidence, margin


def _right(
    model: nn.Module, batch: Sample, space: Space, attack: WorstCase | None, state: Any, seed: int
) -> tuple[Bool[Tensor, " batch"], Bool[Tensor, " batch"]]:
    """Return which points are right, and which all over the ball."""
    right = rank(model(batch.x)[None], batch.y)[0] == 0
    if attack is None:
        return right, right
    rng = RowStreams(seed, batch.number, device=batch.x.device)
    found = replace(attack, num_mean=0).outcomes(model, batch.x, batch.y, space=space, state=state, rng=rng)
    return right, found[attack.conditions[0]]["correct"].bool()


def _pair(values: np.ndarray) -> tuple[float, float]:
    return float(values[0]), float(values[1])
