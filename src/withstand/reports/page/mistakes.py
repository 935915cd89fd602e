"""Mistakes in a report: per combination and condition the worst classes and the most confident mistakes."""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from withstand.conditions import in_words, parse_cell
from withstand.rendering.grid import Grid
from withstand.reports.evidence import Evidence
from withstand.study.combination import Combination
from withstand.study.mistakes import Mistake, Mistakes
from withstand.study.pictures import size_of

MOST_BYTES = 1_200_000  # of all thumbnails in a page
ATTACKED = " Under an attack, samples that are correct on clean inputs come first."
ABOUT = (
    "Per condition: the error, the classes with the lowest accuracy, and the wrong samples with the highest confidence "
    "(softmax), with their numbers."
)


class ShownSample(NamedTuple):
    """A mistake as a page shows it.

    Attributes:
        label: Name of its class.
        predicted: Its prediction as text: a class, mostly.
        probability: Probability of that class as text: `99 %`.
        index: Number of the sample in its split.
        address: Address of the thumbnail (`data:`); None without one.
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
        """The mistake as text, e.g. `8 predicted as 3, 99 %`."""
        return f"{self.label} predicted as {self.predicted}, {self.probability}"


class ShownClass(NamedTuple):
    """A class as a page shows it: its name, its accuracy in percent, and the hits that this is made of."""

    name: str
    accuracy: str
    hits: str


@dataclass(frozen=True, kw_only=True)
class ShownCondition:
    """The mistakes under one condition as a page shows them.

    Attributes:
        name: Readable name of the condition.
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
        name: Name of the combination.
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


def shown_mistakes(
    evidence: Mapping[int, Evidence], combinations: Sequence[Combination]
) -> tuple[tuple[ShownMistakes, ...], str]:
    """Return the mistakes of every combination whose outcomes have predictions, and what to say of them.

    Args:
        evidence: By index of the combination.
        combinations: Combinations of the study.

    Returns:
        The mistakes, and sentences about what is shown, what was left out to keep the page small, and whose mistakes
        were not kept.
    """
    there = {index: own.mistakes for index, own in evidence.items() if own.mistakes is not None}
    if not there:
        return (), ""
    most = max(len(own.worst) for each in there.values() for own in each.conditions)
    number = next(k for k in range(most, -1, -1) if k == 0 or _bytes(evidence, there, k) <= MOST_BYTES)
    few = ""
    if number < most:
        shown = f"{number} thumbnail{'s' if number > 1 else ''}" if number else "no thumbnails"
        few = f" To keep the page small, {shown} per condition {'is' if number == 1 else 'are'} shown."
    others = [each.name for each in combinations if each.index not in there]
    lacking = f" Not available for {'; '.join(others)}; run withstand evaluate." if others else ""
    found = tuple(_mistakes(evidence[index], own, number) for index, own in there.items())
    attacked = ATTACKED if any(own.is_attack for each in there.values() for own in each.conditions) else ""
    return found, ABOUT + attacked + few + lacking


def spoken(condition: str) -> tuple[str, str]:
    """Return the readable name of a condition, and its severity.

    Example:
        >>> spoken("gaussian_noise+jpeg/5"), spoken("Gaussian std=0.5")
        (('gaussian noise', 'severity 5, JPEG'), ('Gaussian std=0.5', ''))
    """
    cell = parse_cell(condition)
    if cell is None:
        return condition, ""
    return in_words(cell.corruption), f"severity {cell.severity}" + (", JPEG" if cell.saved else "")


def predicted_words(classes: Sequence[str], label: int, predicted: int) -> str:
    """Return the prediction of a wrong sample as text.

    Example:
        >>> [predicted_words(("cat", "dog"), 0, each) for each in (1, 0, -1)]
        ['dog', 'a tie with another class', 'no class (non-finite output)']
    """
    if predicted < 0:
        return "no class (non-finite output)"
    return "a tie with another class" if predicted == label else classes[predicted]


def _bytes(evidence: Mapping[int, Evidence], there: Mapping[int, Mistakes], number: int) -> int:
    """Return how many bytes the addresses of `number` thumbnails per condition take in the page."""
    images = [
        evidence[index].pictures.get((own.condition, each.index), b"")
        for index, mistakes in there.items()
        for own in mistakes.conditions
        for each in own.worst[:number]
    ]
    return sum(4 * len(each) // 3 + 250 for each in images if each)


def _mistakes(evidence: Evidence, mistakes: Mistakes, number: int) -> ShownMistakes:
    planned = evidence.combination.planned
    seed = f"seed {evidence.trial.seed}" + (f", one of {len(planned)} seeds" if len(planned) > 1 else "")
    count = int(mistakes.conditions[0].sizes.sum())
    conditions = []
    for own in mistakes.conditions:
        name, more = spoken(own.condition)
        classes = tuple(
            ShownClass(each.name, f"{100 * each.hits / each.size:.0f}", f"{each.hits:,} of {each.size:,}")
            for each in mistakes.worst_classes(own)
        )
        images = {each.index: evidence.pictures.get((own.condition, each.index)) for each in own.worst[:number]}
        samples = [_sample(mistakes, each, images.get(each.index)) for each in own.worst]
        # Where some have thumbnails, the mistakes without one are left out; where none have, words are cheap.
        pictured = [each for each in samples if each.address is not None]
        conditions.append(
            ShownCondition(name=name, more=more, error=own.error, classes=classes, samples=tuple(pictured or samples))
        )
    return ShownMistakes(
        name=evidence.combination.name,
        about=f"Of the run with {seed}; {count:,} samples of {mistakes.data}, draws of seed {mistakes.seed}.",
        conditions=tuple(conditions),
    )


def _sample(mistakes: Mistakes, mistake: Mistake, image: bytes | None) -> ShownSample:
    return ShownSample(
        label=mistakes.classes[mistake.label],
        predicted=predicted_words(mistakes.classes, mistake.label, mistake.predicted),
        probability=f"{100 * mistake.confidence:.0f} %",
        index=mistake.index,
        address=None if image is None else f"data:image/jpeg;base64,{base64.b64encode(image).decode()}",
        size=(0, 0) if image is None else size_of(image),
    )
