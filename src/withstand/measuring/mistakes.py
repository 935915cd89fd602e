"""Mistakes of a model: picked from its outcomes, and drawn again as small pictures."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor, nn

from withstand.data.base import Split
from withstand.data.sample import Sample
from withstand.data.space import Space
from withstand.engine import Engine
from withstand.functional.random import RowStreams, derive_seed
from withstand.models.frozen import evaluating
from withstand.perturbations.base import Perturbation
from withstand.study.condition import parse_cell
from withstand.study.mistakes import MISTAKES, ConditionMistakes, Mistake, Mistakes, read_mistakes, write_mistakes
from withstand.study.outcomes import ConditionOutcomes, OutcomeTable

NUM_WORST = 4  # mistakes that are shown per condition
LONGEST_SIDE = 64  # pixels of a thumbnail
DIGITS = 4  # of a confidence: what lies below differs with the size of the batches
COLUMNS = {"prediction", "confidence", "correct"}


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
    shown = _highest([*kept, *(each.condition for each in picked.conditions)])
    missing = tuple(each for each in picked.conditions if each.condition in shown and each.condition not in kept)
    if not missing:
        return
    picked = replace(picked, conditions=missing)
    if inputs:
        picked = draw_mistakes(picked, inputs, load(), engine=engine)
    kept |= {each.condition: each for each in picked.conditions}
    write_mistakes(path, replace(picked, conditions=tuple(kept[each] for each in shown)))


def pick_mistakes(table: OutcomeTable, *, num_worst: int = NUM_WORST) -> Mistakes | None:
    """Return the accuracy of every class, and the mistakes with the highest confidence, from the outcomes of a model.

    Args:
        table: The outcomes.
        num_worst: How many mistakes are kept per condition.

    Returns:
        Mistakes without pictures, of every condition whose outcomes have a prediction, a confidence and whether it is
        correct; of a corruption at its highest severity only. None without any.
    """
    chosen = _shown([each for each in table.conditions if set(each.frame.columns) >= COLUMNS])
    conditions = tuple(_picked(table, each, num_worst) for each in chosen)
    return Mistakes(data=table.data, seed=table.seed, classes=table.classes, conditions=conditions) if chosen else None


def draw_mistakes(picked: Mistakes, inputs: Mapping[str, Drawn], model: nn.Module, *, engine: Engine) -> Mistakes:
    """Return mistakes with pictures: of these samples only, which meet the noise that they met in the measurement.

    Args:
        picked: As `pick_mistakes` returns them.
        inputs: By condition; those of a condition that is missing, and samples that are no images, have no picture.
        model: Is given to the perturbations; on the engine's device.
        engine: Device.
    """
    # Conditions that read the same samples share them: each image is decoded once.
    wanted: dict[Callable[[], Split], set[int]] = {}
    for own in picked.conditions:
        if own.condition in inputs:
            wanted.setdefault(inputs[own.condition].load, set()).update(each.index for each in own.worst)
    fetched = {load: _fetch(load(), numbers, engine) for load, numbers in wanted.items()}
    conditions = []
    for own in picked.conditions:
        drawn = inputs.get(own.condition)
        images = None if drawn is None else fetched[drawn.load]
        if drawn is None or images is None:
            conditions.append(own)
            continue
        pictures = _pictures(images, drawn.perturbation, own, model, picked.seed)
        worst = tuple(each._replace(thumbnail=pictures[each.index]) for each in own.worst)
        conditions.append(replace(own, worst=worst, example=pictures[images.example]))
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


def numbers_of(split: Split) -> Int[Tensor, " sample"] | None:
    """Return the number of each sample in the order of the split; None where it is its place."""
    return getattr(split, "numbers", None)


class _Images(NamedTuple):
    """Some samples of a split, and the number of the one that is shown under every condition."""

    samples: Sample
    space: Space
    example: int


def _fetch(split: Split, numbers: set[int], engine: Engine) -> _Images | None:
    """Return some samples of a split, and its first one; None where they are no images."""
    if not has_thumbnails(split.shape):
        return None
    known = numbers_of(split)
    example = 0 if known is None else int(known[0])
    wanted = torch.tensor(sorted({*numbers, example}))
    places = wanted if known is None else torch.isin(known, wanted).nonzero()[:, 0]
    return _Images(next(iter(split.batches([places], device=engine.device))), split.space, example)


@torch.no_grad()
def _pictures(
    images: _Images, perturbation: Perturbation, own: ConditionMistakes, model: nn.Module, seed: int
) -> dict[int, np.ndarray]:
    """Return thumbnails of the mistakes under a condition, and of the example, as the model met them, by number."""
    shown = torch.tensor(sorted({images.example, *(each.index for each in own.worst)}))
    rows = torch.isin(images.samples.number.cpu(), shown).nonzero()[:, 0]
    x, y, number = (each[rows.to(each.device)] for each in images.samples[:3])
    rng = RowStreams(derive_seed(seed, perturbation.noise), number, device=x.device)
    with evaluating(model):
        moved = perturbation.draw(x, y, model, num_draws=1, rng=rng, space=images.space).inputs[0]
    return dict(zip(number.tolist(), thumbnails(moved).cpu().numpy(), strict=True))


def _shown(conditions: Sequence[ConditionOutcomes]) -> list[ConditionOutcomes]:
    """Return the conditions worth a look, of those with equal outcomes the first."""
    known = {each.condition: each for each in reversed(conditions)}
    chosen: list[ConditionOutcomes] = []
    for each in (known[name] for name in _highest([each.condition for each in conditions])):
        columns = ["number", *sorted(COLUMNS)]
        if not any(each.frame.select(columns).equals(other.frame.select(columns)) for other in chosen):
            chosen.append(each)
    return chosen


def _highest(conditions: Sequence[str]) -> list[str]:
    """Return conditions without repetition, of each corruption only the highest severity."""
    found: dict[str, str] = {}
    for each in conditions:
        cell = parse_cell(each)
        name = each if cell is None else cell.corruption + cell.saved
        known = parse_cell(found[name]) if name in found else None
        if name not in found or (cell and known and cell.severity > known.severity):
            found[name] = each
    return list(found.values())


def _picked(table: OutcomeTable, own: ConditionOutcomes, num_worst: int) -> ConditionMistakes:
    """Return the mistakes under one condition."""
    frame = table.frame(own).drop_nulls("label")
    labels, right = frame["label"].to_numpy(), frame["correct"].cast(float).to_numpy()
    sizes, hits = (np.bincount(labels, weights, len(table.classes)) for weights in (None, right))
    confidence = frame["confidence"].fill_null(0.0).to_numpy().round(DIGITS)
    predicted = frame["prediction"].fill_null(-1).cast(int).to_numpy()
    numbers = frame["number"].to_numpy()
    wrong = np.flatnonzero(right < 0.5)
    order = wrong[np.lexsort((numbers[wrong], -confidence[wrong]))][:num_worst]
    worst = (
        Mistake(int(numbers[k]), int(labels[k]), int(predicted[k]), round(float(confidence[k]), DIGITS), None)
        for k in order
    )
    return ConditionMistakes(
        condition=own.condition,
        hits=hits.round().astype(np.int64),
        sizes=sizes.astype(np.int64),
        worst=tuple(worst),
        example=None,
    )
