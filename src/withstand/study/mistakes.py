"""Mistakes: which classes and which samples a model gets wrong under each of several conditions."""

import io
import json
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from withstand.errors import InputError
from withstand.files import write_whole

MISTAKES = "mistakes.npz"
# What reading a file that is cut short, of another kind or of other content may raise.
BROKEN = (OSError, ValueError, TypeError, KeyError, IndexError, EOFError, RecursionError, StopIteration)
BROKEN_ZIP = (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, MemoryError)


class Mistake(NamedTuple):
    """A sample that is classified wrongly.

    Attributes:
        index: Number of the sample in its split.
        label: Its class, from 0.
        predicted: The class with the highest logit, from 0; the label itself where it shares the highest logit with
            another class; -1 where the output is not finite.
        confidence: Probability (softmax) of that class, a fraction rounded to four digits.
        thumbnail: The perturbed image, uint8 (height, width, 1 or 3), at most 64 pixels on the longer side; None for
            samples that are no images.
    """

    index: int  # pyright: ignore[reportIncompatibleMethodOverride]
    label: int
    predicted: int
    confidence: float
    thumbnail: np.ndarray | None


class ClassAccuracy(NamedTuple):
    """How many samples of a class are classified correctly.

    Attributes:
        name: Of the class.
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
        example: One image under the condition, the same one for every condition: uint8 (height, width, 1 or 3), at
            most 64 pixels on the longer side; None where the condition has no pictures.
        outcomes: Name of the file with the outcomes that they were picked from; nothing where there was none.
    """

    condition: str
    hits: np.ndarray
    sizes: np.ndarray
    worst: tuple[Mistake, ...]
    example: np.ndarray | None
    outcomes: str = ""

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


def write_mistakes(path: Path, mistakes: Mistakes) -> None:
    """Write mistakes to a file, atomically; the same mistakes give the same bytes."""
    conditions = mistakes.conditions
    about = {
        "data": mistakes.data,
        "seed": mistakes.seed,
        "classes": mistakes.classes,
        "conditions": [each.condition for each in conditions],
        "worst": [[each[:4] for each in own.worst] for own in conditions],
        "outcomes": [each.outcomes for each in conditions],
        "pictured": [each.example is not None for each in conditions],
    }
    arrays = {
        "about": np.frombuffer(json.dumps(about).encode(), dtype=np.uint8),
        "hits": np.stack([each.hits for each in conditions]).astype(np.int64),
        "sizes": np.stack([each.sizes for each in conditions]).astype(np.int64),
    }
    examples = [each.example for each in conditions if each.example is not None]
    thumbnails = [each.thumbnail for own in conditions for each in own.worst if each.thumbnail is not None]
    if examples:
        arrays["examples"] = np.stack(examples)
        arrays["thumbnails"] = np.stack(thumbnails) if thumbnails else arrays["examples"][:0]
    buffer = io.BytesIO()
    np.savez_compressed(buffer, allow_pickle=False, **arrays)
    write_whole(path, buffer.getvalue())


def read_mistakes(path: Path) -> Mistakes:
    """Read what `write_mistakes` wrote.

    Raises:
        InputError: If there is no such file, or it holds anything else.
    """
    try:
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as file:
            return _parsed({name: file[name] for name in file.files})
    except (*BROKEN, *BROKEN_ZIP) as problem:
        raise InputError(
            f"results: expected mistakes as `withstand evaluate` writes them, got {path}, which is missing, "
            "damaged or of another kind; remove it and evaluate again."
        ) from problem


def _parsed(arrays: dict[str, np.ndarray]) -> Mistakes:
    """Return what arrays mean; anything that is not as it was written is a ValueError, TypeError or KeyError."""
    about: dict[str, Any] = json.loads(arrays["about"].tobytes())
    classes, names = _texts(about["classes"]), _texts(about["conditions"])
    hits, sizes = (_checked(arrays[name], (len(names), len(classes))) for name in ("hits", "sizes"))
    if not names or (hits < 0).any() or (hits > sizes).any() or (sizes.sum(1) < 1).any():
        raise ValueError("hits and sizes do not fit")
    examples, thumbnails = _images(arrays.get("examples")), _images(arrays.get("thumbnails"))
    conditions = tuple(
        ConditionMistakes(
            condition=name,
            hits=hits[k],
            sizes=sizes[k],
            worst=tuple(_mistake(each, len(classes), next(thumbnails) if pictured else None) for each in worst),
            example=next(examples) if pictured else None,
            outcomes=outcomes,
        )
        for k, (name, worst, pictured, outcomes) in enumerate(
            zip(names, about["worst"], about["pictured"], _texts(about["outcomes"]), strict=True)
        )
    )
    if next(thumbnails, None) is not None or next(examples, None) is not None:
        raise ValueError("thumbnails and mistakes do not fit")
    return Mistakes(data=str(about["data"]), seed=int(about["seed"]), classes=classes, conditions=conditions)


def _texts(values: Sequence[Any]) -> tuple[str, ...]:
    if not isinstance(values, list) or not all(isinstance(each, str) for each in values):
        raise TypeError("names are not texts")
    return tuple(values)


def _checked(array: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    if array.dtype != np.int64 or array.shape != shape:
        raise ValueError("an array has another type or shape")
    return array


def _images(array: np.ndarray | None) -> Iterator[np.ndarray]:
    """Yield the images of an array one by one."""
    if array is None:
        return
    if array.dtype != np.uint8 or array.ndim != 4 or array.shape[3] not in (1, 3) or 0 in array.shape[1:]:
        raise ValueError("images are of another type or shape")
    yield from array


def _mistake(values: Sequence[Any], num_classes: int, thumbnail: np.ndarray | None) -> Mistake:
    index, label, predicted = (int(each) for each in values[:3])
    confidence = float(values[3])
    if not (0 <= label < num_classes and -1 <= predicted < num_classes and 0 <= confidence <= 1 and index >= 0):
        raise ValueError("a mistake has values that cannot be")
    return Mistake(index, label, predicted, confidence, thumbnail)
