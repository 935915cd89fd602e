"""Chance level: accuracies that are not significantly above guessing."""

from collections.abc import Sequence

import numpy as np

from withstand.reports.evidence import Evidence
from withstand.reports.groups import Group
from withstand.reports.scores import Scores

MOST_NAMES = 4


def chance_notes(scores: Scores) -> list[str]:
    """Return a sentence per combination whose accuracy is at chance level somewhere, attacks apart.

    Chance is one divided by the number of classes, or the share of the largest class if that is more.
    """
    found = []
    for index, evidence in scores.evidence.items():
        level, what = chance_of(evidence)
        groups = [each for each in scores.groups if _is_at(scores, index, each, level)]
        if groups:
            name = evidence.combination.name
            found.append(
                f"{name} is at chance level {_places(groups)}: not significantly above {100 * level:.1f} % ({what})."
            )
    return found


def chance_of(evidence: Evidence) -> tuple[float, str]:
    """Return the accuracy of guessing, a fraction, and how one guesses."""
    known = evidence.labels[evidence.labels >= 0]
    largest = float(np.bincount(known).max()) / len(known) if len(known) else 0.0
    equal = 1 / len(evidence.classes)
    if largest > equal:
        return largest, "always the largest class"
    return equal, f"one of {len(evidence.classes)} classes"


def _is_at(scores: Scores, index: int, group: Group, level: float) -> bool:
    """Return whether the interval of an accuracy begins at or below a level."""
    score = scores.of(index, group) if group.kind != "attack" and group.measure.reduction == "mean" else None
    return score is not None and (score.value if score.low is None else score.low) <= level


def _places(groups: Sequence[Group]) -> str:
    """Return where groups were measured, within a sentence."""
    others = [each.words for each in groups if each.kind not in ("clean", "mean")]
    parts = ["on clean inputs"] if any(each.kind == "clean" for each in groups) else []
    parts += [f"on average over {each.words}" for each in groups if each.kind == "mean"]
    if others:
        parts.append("under " + (", ".join(others) if len(others) <= MOST_NAMES else f"{len(others)} conditions"))
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)
