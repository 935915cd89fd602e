"""Mistakes: which classes and which samples a model gets wrong under each of several conditions."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np


class Mistake(NamedTuple):
    """A sample that is classified wrongly.

    Attributes:
        index: Number of the sample in its split.
        label: Its class, from 0.
        predicted: The class with the highest logit, from 0; the label itself if it shares the highest logit with
            another class; -1 where the output is not finite.
        confidence: Probability (softmax) of that class, a fraction rounded to four digits.
    """

    index: int  # pyright: ignore[reportIncompatibleMethodOverride]
    label: int
    predicted: int
    confidence: float


class ClassAccuracy(NamedTuple):
    """How many samples of a class are classified correctly.

    Attributes:
        name: Name of the class.
        hits: Number of samples whose class has the highest logit, alone.
        size: Number of samples, at least 1.
    """

    name: str
    hits: int
    size: int


@dataclass(frozen=True, kw_only=True, eq=False)
class ConditionMistakes:
    """The mistakes under one condition.

    Attributes:
        condition: As in rows, e.g. `fog/5`.
        hits: Number of samples classified correctly, by class: int64 (class,).
        sizes: Number of samples, by class: int64 (class,).
        worst: The mistakes with the highest confidence, that one first.
        is_attack: Whether `worst` begins with samples that are correct on clean inputs.
    """

    condition: str
    hits: np.ndarray
    sizes: np.ndarray
    worst: tuple[Mistake, ...]
    is_attack: bool = False

    @property
    def error(self) -> float:
        """Share of the samples that are classified wrongly, a fraction."""
        return 1 - float(self.hits.sum()) / float(self.sizes.sum())


@dataclass(frozen=True, kw_only=True, eq=False)
class Mistakes:
    """The mistakes of one model.

    Attributes:
        data: Name of the data set, such as `Digits`.
        seed: That decided every draw of the measurement.
        classes: Names of the classes.
        conditions: One entry per condition, in the order of the measurement; at least one.
    """

    data: str
    seed: int
    classes: tuple[str, ...]
    conditions: tuple[ConditionMistakes, ...]

    def worst_classes(self, condition: ConditionMistakes, number: int = 3) -> list[ClassAccuracy]:
        """Return the classes with the lowest accuracy under a condition, the lowest first, equal ones in their order.

        Args:
            condition: One of the conditions.
            number: How many classes, at most; classes without samples or without mistakes are left out.
        """
        known = [
            ClassAccuracy(name, int(hits), int(size))
            for name, hits, size in zip(self.classes, condition.hits, condition.sizes, strict=True)
            if hits < size
        ]
        return sorted(known, key=lambda each: each.hits / each.size)[:number]
