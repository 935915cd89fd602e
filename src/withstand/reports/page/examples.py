"""The browser of examples: some images under every corruption and severity, with the answer of every model."""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from withstand.conditions import CLEAN, CORRUPTIONS, in_words, parse_cell
from withstand.reports.evidence import Answer, Evidence
from withstand.reports.page.mistakes import predicted_words

MOST_BYTES = 2_900_000  # of all pictures in a page
MOST_MODELS = 8
ABOUT = (
    "Pick an image and a severity to see every model's prediction and confidence under each corruption. Images are the "
    "first of each class in the test part, with the noise of the evaluation."
)


@dataclass(frozen=True, kw_only=True)
class ShownExamples:
    """The browser of examples.

    Attributes:
        about: What it shows, and what is left out.
        images: Number and class name of each image.
        severities: There are.
        content: What its script shows: models, cards, and pictures.
    """

    about: str
    images: tuple[tuple[int, str], ...]
    severities: tuple[int, ...]
    content: Mapping[str, Any]


def shown_examples(evidence: Mapping[int, Evidence]) -> ShownExamples | None:
    """Return the browser of examples; None without pictures, such as for inputs that are no images.

    Models that were asked about other samples than the first one are left out. So are conditions without a picture and
    those whose picture is another one for each model, such as attacks.

    Args:
        evidence: By index of the combination.
    """
    pictured = [each for each in evidence.values() if each.pictures and each.examples]
    alike = [each for each in pictured if each.question == pictured[0].question]
    models = alike[:MOST_MODELS]
    if not models:
        return None
    conditions = _conditions(models)
    keys = [key for key in models[0].numbers if any(_picture(models[0], name, key) for name in conditions)]
    number = len(keys)
    while number and _bytes(models[0], conditions, keys[:number]) > MOST_BYTES:
        number -= 1
    keys = keys[:number]
    if not keys:
        return None
    few = f" To keep the page small, {number} images are shown." if number < len(models[0].numbers) else ""
    left = [each.combination.name for each in evidence.values() if each not in models]
    others = f" Not shown: {', '.join(left)}." if left else ""
    classes = models[0].classes
    severities = sorted({cell.severity for each in conditions if (cell := parse_cell(each))})
    return ShownExamples(
        about=ABOUT + few + others,
        images=tuple((models[0].numbers[key][0], classes[models[0].numbers[key][1]]) for key in keys),
        severities=tuple(severities),
        content={
            "models": [each.combination.name for each in models],
            "images": [
                {"number": models[0].numbers[key][0], "label": classes[models[0].numbers[key][1]]} for key in keys
            ],
            "severities": severities,
            "cards": _cards(models, conditions, keys),
        },
    )


def _conditions(models: Sequence[Evidence]) -> list[str]:
    """Return the conditions that have pictures, the same ones for every model that has the condition."""
    found = []
    for name in dict.fromkeys(name for each in models for name in each.examples):
        own = [each for each in models if name in each.examples]
        pictures = {tuple(_picture(each, name, key) for key in models[0].numbers) for each in own}
        if len(pictures) == 1 and any(pictures.pop()) and own[0] is models[0]:
            found.append(name)
    return sorted(found, key=_order)


def _order(condition: str) -> tuple[int, int]:
    cell = parse_cell(condition)
    if cell is None:
        return (-2 if condition == CLEAN else -1), 0
    return CORRUPTIONS.index(cell.corruption), cell.severity


def _cards(models: Sequence[Evidence], conditions: Sequence[str], keys: Sequence[int]) -> list[dict[str, Any]]:
    """Return a card per corruption, with pictures and answers by severity; 0 is that of conditions without one."""
    cards: dict[str, dict[str, Any]] = {}
    for name in conditions:
        cell = parse_cell(name)
        words = name if cell is None else in_words(cell.corruption) + (", JPEG" if cell.saved else "")
        card = cards.setdefault(words, {"name": words, "at": {}})
        images = [_picture(models[0], name, key) for key in keys]
        card["at"][str(cell.severity if cell else 0)] = {
            "images": ["" if each is None else base64.b64encode(each).decode() for each in images],
            "answers": [[_answer(each, each.examples.get(name, {}).get(key), key) for key in keys] for each in models],
        }
    return list(cards.values())


def _picture(evidence: Evidence, condition: str, key: int) -> bytes | None:
    number = evidence.keys.get(condition, {}).get(key)
    return None if number is None else evidence.pictures.get((condition, number))


def _bytes(evidence: Evidence, conditions: Sequence[str], keys: Sequence[int]) -> int:
    images = (_picture(evidence, name, key) for name in conditions for key in keys)
    return sum(4 * len(each) // 3 for each in images if each)


def _answer(evidence: Evidence, answer: Answer | None, key: int) -> list[Any] | None:
    """Return the predicted class as text, the confidence in percent, and 1 if it is correct."""
    if answer is None:
        return None
    if answer.is_correct:
        words = evidence.classes[answer.predicted]
    else:
        words = predicted_words(evidence.classes, evidence.numbers[key][1], answer.predicted)
    return [words, round(100 * answer.confidence), int(answer.is_correct)]
