"""Thumbnails of perturbed inputs."""

from collections.abc import Callable, Iterator, Mapping
from copy import copy
from pathlib import Path
from typing import Any, NamedTuple, cast

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from withstand.data.base import Split
from withstand.data.space import Space
from withstand.engine import Engine
from withstand.evaluation.accuracy import Accuracy
from withstand.evaluation.base import Evaluation
from withstand.functional.random import RowStreams, derive_seed
from withstand.models.frozen import evaluating
from withstand.perturbations.base import Draws, Perturbation
from withstand.study.measures.outcomes import OutcomeTable
from withstand.study.pictures import (
    PICTURES,
    SIDE,
    choose_examples,
    encoded,
    pictured,
    read_pictures,
    wanted_pictures,
    write_pictures,
)

# JPEG files by condition and number of the sample.
Taken = dict[tuple[str, int], bytes]


class Drawn(NamedTuple):
    """How the inputs of a condition are made.

    Attributes:
        load: Returns the samples: the condition's own, where they are corrupted already.
        perturbation: What is done to them.
    """

    load: Callable[[], Split]
    perturbation: Perturbation


class Watched:
    """A perturbation that hands on thumbnails of some samples as they are drawn; else as the original."""

    def __init__(self, perturbation: Perturbation, numbers: Tensor, taken: Taken) -> None:
        """Watch a perturbation.

        Args:
            perturbation: The original.
            numbers: Numbers of the samples.
            taken: Receives the thumbnails.
        """
        self._own, self._numbers, self._taken = perturbation, numbers, taken

    def __getattr__(self, name: str) -> Any:
        return getattr(self._own, name)

    def draw(self, x: Tensor, y: Tensor, model: nn.Module, *, space: Space, num_draws: int, rng: RowStreams) -> Draws:
        """Draw, and take thumbnails of what was drawn."""
        draws = self._own.draw(x, y, model, space=space, num_draws=num_draws, rng=rng)
        rows = torch.isin(rng.index.cpu(), self._numbers).nonzero()[:, 0]
        if len(rows):
            images = thumbnails(draws.inputs[0][rows.to(x.device)]).cpu().numpy()
            for number, image in zip(rng.index.cpu()[rows].tolist(), images, strict=True):
                self._taken[self.condition, number] = encoded(image)
        return draws


def watched(evaluation: Evaluation, split: Split, taken: Taken) -> Evaluation:
    """Return an evaluation that hands on thumbnails of the examples while it measures; the same for inputs without."""
    import polars

    if not (isinstance(evaluation, Accuracy) and evaluation.num_draws == 1 and has_thumbnails(split.shape)):
        return evaluation
    labels = getattr(split, "y", None)
    if labels is None:  # they are drawn again afterwards
        return evaluation
    numbers = torch.arange(len(labels)) if split.numbers is None else split.numbers
    chosen = torch.tensor(choose_examples(polars.DataFrame({"number": numbers.numpy(), "label": labels.cpu().numpy()})))
    each = tuple(cast(Perturbation, Watched(own, chosen, taken)) for own in evaluation.perturbations)
    looked_at = copy(evaluation)
    object.__setattr__(looked_at, "perturbations", each)  # without the check of fields, which wants the originals
    return looked_at


def keep_pictures(
    folder: Path,
    table: OutcomeTable,
    inputs: Mapping[str, Drawn],
    load: Callable[[], nn.Module],
    *,
    engine: Engine,
    taken: Taken | None = None,
) -> None:
    """Write the pictures that a report shows of a model, in addition to the saved ones.

    Conditions that were measured again by another evaluation are drawn again.

    Args:
        folder: Folder of the model's outcomes.
        table: Its outcomes, perhaps under some of the conditions that are kept.
        inputs: How the inputs of each condition are made; one that is missing has no pictures.
        load: Returns the model, on the engine's device; called only if something must be drawn.
        engine: Device.
        taken: Pictures that were taken while measuring.
    """
    if not inputs:
        return
    saved = read_pictures(folder / PICTURES)
    files = {own.condition: pictured(own, 0).outcomes for own in table.conditions}
    kept = {key: image for key, image in saved.items() if files.get(key.condition, key.outcomes) == key.outcomes}
    known = {own.condition for own in table.conditions}
    fresh = {
        pictured(table.of(name), number): image for (name, number), image in (taken or {}).items() if name in known
    }
    missing: dict[str, set[int]] = {}
    for condition, numbers in wanted_pictures(table).items():
        own = table.of(condition)
        kept |= {key: fresh[key] for each in numbers if (key := pictured(own, each)) in fresh}
        lacking = {each for each in numbers if pictured(own, each) not in kept}
        if lacking and condition in inputs:
            missing[condition] = lacking
    if not missing and kept == saved:
        return
    drawn = draw_pictures(missing, inputs, load(), seed=table.seed, engine=engine) if missing else ()
    for condition, number, image in drawn:
        kept[pictured(table.of(condition), number)] = encoded(image)
    write_pictures(folder / PICTURES, kept)


def draw_pictures(
    wanted: Mapping[str, set[int]], inputs: Mapping[str, Drawn], model: nn.Module, *, seed: int, engine: Engine
) -> Iterator[tuple[str, int, np.ndarray]]:
    """Yield thumbnails of some samples, with the same noise as in the evaluation.

    Args:
        wanted: Numbers of the samples by condition.
        inputs: By condition.
        model: Is given to the perturbations; on the engine's device.
        seed: Seed of the measurement.
        engine: Device.

    Yields:
        Condition, number, and the image: uint8 (height, width, 1 or 3).
    """
    # Conditions that read the same samples share them: each image is decoded once.
    together: dict[Callable[[], Split], list[str]] = {}
    for condition in wanted:
        together.setdefault(inputs[condition].load, []).append(condition)
    for load, conditions in together.items():
        split, numbers = load(), torch.tensor(sorted(set().union(*(wanted[each] for each in conditions))))
        places = numbers if split.numbers is None else torch.isin(split.numbers, numbers).nonzero()[:, 0]
        samples = next(iter(split.batches([places], device=engine.device)))
        for condition in conditions:
            own = torch.tensor(sorted(wanted[condition]))
            rows = torch.isin(samples.number.cpu(), own).nonzero()[:, 0].to(samples.number.device)
            x, y, number = (each[rows] for each in samples[:3])
            perturbation = inputs[condition].perturbation
            rng = RowStreams(derive_seed(seed, perturbation.noise), number, device=x.device)
            with torch.no_grad(), evaluating(model):
                moved = perturbation.draw(x, y, model, num_draws=1, rng=rng, space=split.space).inputs[0]
            for each, image in zip(number.tolist(), thumbnails(moved).cpu().numpy(), strict=True):
                yield condition, each, image


def has_thumbnails(shape: tuple[int, ...]) -> bool:
    """Return whether inputs of a shape are images of 1 or 3 channels."""
    return len(shape) == 3 and shape[0] in (1, 3)


def thumbnails(x: Float[Tensor, "batch channel height width"]) -> UInt8[Tensor, "batch rows columns channel"]:
    """Return copies of images in [0, 1] of at most 96 pixels on the longer side, 0 to 255, with the channels last."""
    scale = min(1.0, SIDE / max(x.shape[2:]))
    rows, columns = (max(1, round(scale * side)) for side in x.shape[2:])
    if (rows, columns) != tuple(x.shape[2:]):
        x = nn.functional.interpolate(x, (rows, columns), mode="bilinear", antialias=True, align_corners=False)
    return (255 * x.clamp(0, 1)).round().to(torch.uint8).permute(0, 2, 3, 1)
