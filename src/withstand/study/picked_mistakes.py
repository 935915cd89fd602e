"""Mistakes picked from the outcomes of a model."""

from collections.abc import Sequence

import numpy as np

from withstand.conditions import CLEAN, is_attack, parse_cell
from withstand.study.measures.outcomes import ConditionOutcomes, OutcomeTable
from withstand.study.measures.reductions import class_words
from withstand.study.mistakes import ConditionMistakes, Mistake, Mistakes

NUM_WORST = 4  # mistakes that are shown per condition
DIGITS = 4  # of a confidence: what lies below differs with the size of the batches
COLUMNS = {"prediction", "confidence", "correct"}


def pick_mistakes(table: OutcomeTable, *, num_worst: int = NUM_WORST) -> Mistakes | None:
    """Return the accuracy of every class, and the mistakes with the highest confidence, from the outcomes of a model.

    Args:
        table: The outcomes.
        num_worst: How many mistakes are kept per condition.

    Returns:
        Mistakes of every condition whose outcomes have a prediction, a confidence and whether it is
        correct; of a corruption at its highest severity only. None without any. Under an attack, samples that are
        correct on clean inputs come first: the others are shown there.
    """
    chosen = _distinct([each for each in table.conditions if set(each.frame.columns) >= COLUMNS])
    conditions = tuple(_picked(table, each, num_worst) for each in chosen)
    if not chosen:
        return None
    return Mistakes(data=table.data, seed=table.seed, classes=class_words(table.classes), conditions=conditions)


def highest_severities(conditions: Sequence[str]) -> list[str]:
    """Return conditions without repetition, of each corruption only the highest severity."""
    found: dict[str, str] = {}
    for each in conditions:
        cell = parse_cell(each)
        name = each if cell is None else cell.corruption + cell.saved
        known = parse_cell(found[name]) if name in found else None
        if name not in found or (cell and known and cell.severity > known.severity):
            found[name] = each
    return list(found.values())


def _distinct(conditions: Sequence[ConditionOutcomes]) -> list[ConditionOutcomes]:
    """Return the conditions to show; of several with equal outcomes the first."""
    known = {each.condition: each for each in reversed(conditions)}
    chosen: list[ConditionOutcomes] = []
    for each in (known[name] for name in highest_severities([each.condition for each in conditions])):
        columns = ["number", *sorted(COLUMNS)]
        if not any(each.frame.select(columns).equals(other.frame.select(columns)) for other in chosen):
            chosen.append(each)
    return chosen


def _picked(table: OutcomeTable, own: ConditionOutcomes, num_worst: int) -> ConditionMistakes:
    """Return the mistakes under one condition."""
    frame = table.frame(own).drop_nulls("label")
    labels, right = frame["label"].to_numpy(), frame["correct"].cast(float).to_numpy()
    sizes, hits = (np.bincount(labels, weights, len(table.classes)) for weights in (None, right))
    confidence = frame["confidence"].fill_null(0.0).to_numpy().round(DIGITS)
    predicted = frame["prediction"].fill_null(-1).cast(int).to_numpy()
    numbers = frame["number"].to_numpy()
    wrong = np.flatnonzero(right < 0.5)
    attacked = is_attack(own.condition) or any(each.kind == "attacked" for each in own.measures)
    known = np.isin(numbers, _clean_mistakes(table, own) if attacked else [])
    order = wrong[np.lexsort((numbers[wrong], -confidence[wrong], known[wrong]))][:num_worst]
    worst = (
        Mistake(int(numbers[k]), int(labels[k]), int(predicted[k]), round(float(confidence[k]), DIGITS)) for k in order
    )
    return ConditionMistakes(
        condition=own.condition,
        hits=hits.round().astype(np.int64),
        sizes=sizes.astype(np.int64),
        worst=tuple(worst),
        is_attack=attacked,
    )


def _clean_mistakes(table: OutcomeTable, own: ConditionOutcomes) -> np.ndarray:
    """Return the numbers of the samples that are wrong on clean inputs; empty if these were not measured."""
    clean = next((each for each in table.conditions if each.condition == CLEAN and each.source == own.source), None)
    if clean is None or "correct" not in clean.frame.columns:
        return np.array([], dtype=np.int64)
    frame = clean.frame
    return frame.filter(frame["correct"].cast(float) < 0.5)["number"].to_numpy()
