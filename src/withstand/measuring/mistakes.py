"""Mistakes of a model: picked from its outcomes, and drawn again as small pictures."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from withstand.data.base import Split
from withstand.data.sample import Sample
from withstand.data.space import Space
from withstand.engine import Engine
from withstand.functional.random import RowStreams, derive_seed
from withstand.models.frozen import evaluating
from withstand.perturbations.base import Perturbation
from withstand.study.measures.outcomes import OutcomeTable
from withstand.study.mistakes import MISTAKES, Mistakes, read_mistakes, write_mistakes
from withstand.study.picked_mistakes import file_of, highest_severities, pick_mistakes

LONGEST_SIDE = 64  # pixels of a thumbnail


class Drawn(NamedTuple):
    """How the inputs of a condition are made.

    Attributes:
        load: Returns the samples: the condition's own, where they are corrupted already.
        perturbation: What is done to them.
    """

    load: Callable[[], Split]
    perturbation: Perturbation


def keep_mistakes(
    folder: Path, table: OutcomeTable, inputs: Mapping[str, Drawn], load: Callable[[], nn.Module], *, engine: Engine
) -> None:
    """Write the mistakes of a model, with pictures of those that are images, beside those that are kept already.

    Conditions that were measured again by another evaluation are picked and drawn again.

    Args:
        folder: Of what is kept of the model.
        table: Its outcomes, perhaps under some of the conditions that are kept.
        inputs: How the inputs of each condition are made; one that is missing has no pictures.
        load: Returns the model, on the engine's device.
        engine: Device.
    """
    picked, path = pick_mistakes(table), folder / MISTAKES
    if picked is None:
        return
    kept = {each.condition: each for each in read_mistakes(path).conditions} if path.is_file() else {}
    files = {each.condition: file_of(each) for each in table.conditions}
    kept = {name: each for name, each in kept.items() if files.get(name, each.outcomes) == each.outcomes}
    shown = highest_severities([*kept, *(each.condition for each in picked.conditions)])
    missing = tuple(each for each in picked.conditions if each.condition in shown and each.condition not in kept)
    if not missing:
        return
    picked = replace(picked, conditions=missing)
    if inputs:
        picked = draw_mistakes(picked, table, inputs, load(), engine=engine)
    kept |= {each.condition: each for each in picked.conditions}
    write_mistakes(path, replace(picked, conditions=tuple(kept[each] for each in shown)))


def draw_mistakes(
    picked: Mistakes, table: OutcomeTable, inputs: Mapping[str, Drawn], model: nn.Module, *, engine: Engine
) -> Mistakes:
    """Return mistakes with pictures: of these samples only, which meet the noise that they met in the measurement.

    Args:
        picked: As `pick_mistakes` returns them.
        table: The outcomes that they were picked from; the first sample there is the example of every condition.
        inputs: By condition; those of a condition that is missing, and samples that are no images, have no picture.
        model: Is given to the perturbations; on the engine's device.
        engine: Device.
    """
    # Conditions that read the same samples share them: each image is decoded once.
    examples = {own.condition: int(table.of(own.condition).frame["number"][0]) for own in picked.conditions}
    wanted: dict[Callable[[], Split], set[int]] = {}
    for own in picked.conditions:
        if own.condition in inputs:
            numbers = {examples[own.condition], *(each.index for each in own.worst)}
            wanted.setdefault(inputs[own.condition].load, set()).update(numbers)
    fetched = {load: _fetch(load(), numbers, engine) for load, numbers in wanted.items()}
    conditions = []
    for own in picked.conditions:
        drawn = inputs.get(own.condition)
        images = None if drawn is None else fetched[drawn.load]
        if drawn is None or images is None:
            conditions.append(own)
            continue
        numbers = {examples[own.condition], *(each.index for each in own.worst)}
        pictures = _pictures(images, drawn.perturbation, numbers, model, picked.seed)
        worst = tuple(each._replace(thumbnail=pictures[each.index]) for each in own.worst)
        conditions.append(replace(own, worst=worst, example=pictures[examples[own.condition]]))
    return replace(picked, conditions=tuple(conditions))


def has_thumbnails(shape: tuple[int, ...]) -> bool:
    """Return whether inputs of a shape are images of 1 or 3 channels."""
    return len(shape) == 3 and shape[0] in (1, 3)


def thumbnails(x: Float[Tensor, "batch channel height width"]) -> UInt8[Tensor, "batch rows columns channel"]:
    """Return copies of images in [0, 1] of at most 64 pixels on the longer side, 0 to 255, with the channels last."""
    scale = min(1.0, LONGEST_SIDE / max(x.shape[2:]))
    rows, columns = (max(1, round(scale * side)) for side in x.shape[2:])
    if (rows, columns) != tuple(x.shape[2:]):
        x = nn.functional.interpolate(x, (rows, columns), mode="bilinear", antialias=True, align_corners=False)
    return (255 * x.clamp(0, 1)).round().to(torch.uint8).permute(0, 2, 3, 1)


class _Images(NamedTuple):
    """Some samples of a split."""

    samples: Sample
    space: Space


def _fetch(split: Split, numbers: set[int], engine: Engine) -> _Images | None:
    """Return some samples of a split; None where they are no images."""
    if not has_thumbnails(split.shape):
        return None
    wanted = torch.tensor(sorted(numbers))
    places = wanted if split.numbers is None else torch.isin(split.numbers, wanted).nonzero()[:, 0]
    return _Images(next(iter(split.batches([places], device=engine.device))), split.space)


@torch.no_grad()
def _pictures(
    images: _Images, perturbation: Perturbation, numbers: set[int], model: nn.Module, seed: int
) -> dict[int, np.ndarray]:
    """Return thumbnails of some samples under a condition, as the model met them, by number."""
    rows = torch.isin(images.samples.number.cpu(), torch.tensor(sorted(numbers))).nonzero()[:, 0]
    x, y, number = (each[rows.to(each.device)] for each in images.samples[:3])
    rng = RowStreams(derive_seed(seed, perturbation.noise), number, device=x.device)
    with evaluating(model):
        moved = perturbation.draw(x, y, model, num_draws=1, rng=rng, space=images.space).inputs[0]
    return dict(zip(number.tolist(), thumbnails(moved).cpu().numpy(), strict=True))
