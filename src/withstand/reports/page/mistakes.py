"""Mistakes in a report: per combination and condition the worst classes and the most confident mistakes."""

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from withstand.rendering.grid import Grid
from withstand.study.combination import Combination, Trial
from withstand.study.measures.condition import parse_cell
from withstand.study.mistakes import MISTAKES, Mistake, Mistakes, read_mistakes
from withstand.study.picked_mistakes import pick_mistakes
from withstand.study.runs import evaluations_of
from withstand.study.study import Study

MOST_BYTES = 3_000_000  # of all thumbnails in a page
# How many thumbnails there are per condition, and of how many pixels, where all of them would make the page too large.
STEPS = ((4, 64), (3, 64), (2, 64), (4, 32), (3, 32), (2, 32), (1, 32))
ABOUT = (
    "Under each condition the error, the classes that are recognised worst, and the mistakes that the model was "
    "surest of: wrong samples with the highest probability (softmax) of what they are taken for, and their numbers."
)


class ShownSample(NamedTuple):
    """A mistake as a page shows it.

    Attributes:
        label: Name of its class.
        predicted: What it was taken for, in words: a class, mostly.
        probability: Of that class, in words: `99 %`.
        index: Number of the sample in its split.
        address: Of the thumbnail (`data:`); None where there is none.
        size: Width and height of the thumbnail, in pixels.
    """

    label: str
    predicted: str
    probability: str
    index: int  # pyright: ignore[reportIncompatibleMethodOverride]
    address: str | None
    size: tuple[int, int]

    @property
    def sentence(self) -> str:
        """The mistake in words, e.g. `8 taken for 3, 99 %`."""
        return f"{self.label} taken for {self.predicted}, {self.probability}"


class ShownClass(NamedTuple):
    """A class as a page shows it: its name, its accuracy in percent, and the hits that this is made of."""

    name: str
    accuracy: str
    hits: str


@dataclass(frozen=True, kw_only=True)
class ShownCondition:
    """The mistakes under one condition as a page shows them.

    Attributes:
        name: Of the condition, in words.
        more: Severity and how it was saved; nothing without.
        error: A fraction.
        classes: The worst ones, the lowest accuracy first.
        samples: The most confident mistakes, that one first.
    """

    name: str
    more: str
    error: float
    classes: tuple[ShownClass, ...]
    samples: tuple[ShownSample, ...]


@dataclass(frozen=True, kw_only=True)
class ShownMistakes:
    """The mistakes of one combination as a page shows them.

    Attributes:
        name: Of the combination.
        about: In a sentence, which run and which samples.
        conditions: One entry per condition.
    """

    name: str
    about: str
    conditions: tuple[ShownCondition, ...]

    def table(self) -> Grid:
        """Return the errors and the worst classes as a table of texts."""
        lines = tuple(
            (
                f"{each.name}, {each.more}" if each.more else each.name,
                f"{100 * each.error:.1f}",
                "; ".join(f"{own.name} {own.accuracy} %" for own in each.classes) or "none",
            )
            for each in self.conditions
        )
        columns = ("condition", "error, %", "worst classes and their accuracy")
        return Grid(title=f"Mistakes of {self.name}", columns=columns, lines=lines, notes=(self.about,))


def shown_mistakes(study: Study, combinations: Sequence[Combination]) -> tuple[tuple[ShownMistakes, ...], str]:
    """Return the mistakes of every combination that has some, of its first run that has them, and what to say of them.

    Args:
        study: The runs.
        combinations: Of the study.

    Returns:
        The mistakes, and sentences about what is shown, what was left out to keep the page small, and whose mistakes
        were not kept.

    Raises:
        InputError: If a file of mistakes is damaged.
    """
    there = [(each, *found) for each in combinations if (found := mistakes_of(study, each)) is not None]
    if not there:
        return (), ""
    plan, sentence = _plan([mistakes for _, _, mistakes in there])
    shown = tuple(
        ShownMistakes(
            name=each.name, about=_about(each, trial, mistakes), conditions=_conditions(mistakes, number, side)
        )
        for (each, trial, mistakes), (number, side) in zip(there, plan, strict=True)
    )
    known = {each.index for each, _, _ in there}
    others = [each.name for each in combinations if each.index not in known]
    lacking = f" Not kept for {'; '.join(others)}; withstand evaluate keeps them." if others else ""
    return shown, ABOUT + sentence + lacking


def mistakes_of(study: Study, combination: Combination) -> tuple[Trial, Mistakes] | None:
    """Return the first run of a combination whose mistakes are known, and these; None if there is none.

    Of several evaluations of a run, the mistakes of the latest one are shown. For results in memory
    they are picked from the outcomes, without pictures.

    Raises:
        InputError: If the file is damaged.
    """
    for trial in combination.trials:
        found = _of_memory(study, trial) if study.folder is None else _of_folder(study.folder / trial.run)
        if found is not None:
            return trial, found
    return None


def _of_memory(study: Study, trial: Trial) -> Mistakes | None:
    table = study.table_of(trial.run)
    return None if table is None else pick_mistakes(table)


def _of_folder(run: Path) -> Mistakes | None:
    paths = [path for each in evaluations_of(run) if (path := each / MISTAKES).is_file()]
    newest = max(paths, key=lambda each: each.stat().st_mtime_ns, default=None)
    return None if newest is None else read_mistakes(newest)


def spoken(condition: str) -> tuple[str, str]:
    """Return a condition in words: what it is, and its severity.

    Example:
        >>> spoken("gaussian_noise+jpeg/5"), spoken("Gaussian std=0.5")
        (('gaussian noise', 'severity 5, JPEG'), ('Gaussian std=0.5', ''))
    """
    cell = parse_cell(condition)
    if cell is None:
        return condition, ""
    return cell.corruption.replace("_", " "), f"severity {cell.severity}" + (", JPEG" if cell.saved else "")


def png_address(image: np.ndarray, *, side: int) -> tuple[str, tuple[int, int]]:
    """Return an image as a `data:` address of a PNG, and its width and height.

    Args:
        image: uint8 (height, width, 1 or 3).
        side: Most pixels on the longer side; a larger image is made smaller.
    """
    picture = Image.fromarray(image[:, :, 0] if image.shape[2] == 1 else image)
    if max(picture.size) > side:
        picture.thumbnail((side, side), Image.Resampling.BOX)
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}", picture.size


def _plan(every: Sequence[Mistakes]) -> tuple[list[tuple[int, int]], str]:
    """Return for every model how many thumbnails it has per condition and of how many pixels, and a sentence if few."""
    most = max((len(own.worst) for each in every for own in each.conditions), default=0)
    for number, side in STEPS:
        if sum(_bytes(each, number, side) for each in every) <= MOST_BYTES:
            smaller = f" of at most {side} pixels" if side < STEPS[0][1] and _pixels(every) > side else ""
            plural = "s" if number > 1 else ""
            few = f" To keep the page small, {number} thumbnail{plural}{smaller} per condition are shown."
            if number == 1:
                few = f" To keep the page small, one thumbnail{smaller} per condition is shown."
            return [(number, side)] * len(every), few if (number < most or smaller) and _pixels(every) else ""
    number, side = STEPS[-1]
    room, plan = MOST_BYTES, []
    for each in every:
        room -= _bytes(each, number, side)
        plan.append((number if room >= 0 else 0, side))
    count = sum(number > 0 for number, _ in plan)
    return plan, f" To keep the page small, only the first {count} of {len(every)} have thumbnails, one per condition."


def _pixels(every: Sequence[Mistakes]) -> int:
    """Return the longest side of the thumbnails; 0 without any."""
    images = [each.thumbnail for known in every for own in known.conditions for each in own.worst]
    return max((max(each.shape[:2]) for each in images if each is not None), default=0)


def _bytes(mistakes: Mistakes, number: int, side: int) -> int:
    """Return how long the addresses of the thumbnails of a model would be, at most: PNG rarely exceeds the pixels."""
    total = 0
    for own in mistakes.conditions:
        for each in own.worst[:number]:
            if each.thumbnail is not None:
                rows, columns, channels = each.thumbnail.shape
                share = min(1.0, side / max(rows, columns)) ** 2
                total += int(rows * columns * channels * share * 1.34) + 250
    return total


def _about(combination: Combination, trial: Trial, mistakes: Mistakes) -> str:
    """Return which run and which samples the mistakes are of."""
    others = f" of {len(combination.planned)} seeds" if len(combination.planned) > 1 else ""
    number = int(mistakes.conditions[0].sizes.sum())
    seed = f"seed {trial.seed}" if not others else f"seed {trial.seed}, one{others}"
    return f"Of the run with {seed}; {number:,} samples of {mistakes.data}, draws of seed {mistakes.seed}."


def _conditions(mistakes: Mistakes, number: int, side: int) -> tuple[ShownCondition, ...]:
    found = []
    for own in mistakes.conditions:
        name, more = spoken(own.condition)
        classes = tuple(
            ShownClass(each.name, f"{100 * each.hits / each.size:.0f}", f"{each.hits:,} of {each.size:,}")
            for each in mistakes.worst_classes(own)
        )
        samples = [_sample(mistakes, each, side if k < number else None) for k, each in enumerate(own.worst)]
        # Where pictures are few, the mistakes without one are left out; where there are none, words are cheap.
        pictured = [each for each in samples if each.address is not None]
        found.append(
            ShownCondition(name=name, more=more, error=own.error, classes=classes, samples=tuple(pictured or samples))
        )
    return tuple(found)


def _sample(mistakes: Mistakes, mistake: Mistake, side: int | None) -> ShownSample:
    address, size = None, (0, 0)
    if side is not None and mistake.thumbnail is not None:
        address, size = png_address(mistake.thumbnail, side=side)
    classes = mistakes.classes
    probability = f"{100 * mistake.confidence:.0f} %"
    taken = "nothing (output not finite)" if mistake.predicted < 0 else classes[mistake.predicted]
    taken = "itself and another class alike" if mistake.predicted == mistake.label else taken
    return ShownSample(classes[mistake.label], taken, probability, mistake.index, address, size)
