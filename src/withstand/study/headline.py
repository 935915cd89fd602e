"""Which measures a reader wants first, and in which direction they are better."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from withstand.study.condition import CLEAN, JPEG, parse_cell
from withstand.study.corruption_means import MEAN
from withstand.study.corruption_rows import CE, ERROR, MCE, MEAN_ERROR

# The order of columns; a measure that is none of these comes last.
ORDER = (
    r"top1",
    r"worst_case_top1",
    r"adversarial_top1",
    r"worst_top1",
    r"mean_top1",
    r"balanced_top1",
    r"top1_at_radius",
    r"noise_distance",
    r"never_fooled",
    r"certified.*",
    r"(\w+_)?top\d+",
    r"lipschitz_upper.*",
    r"lipschitz.*",
    r".*",
)
HIGHER = re.compile(r"(\w+_)?top\d+|top1_at_radius|noise_distance|never_fooled|recall .*|certified_accuracy")
LOWER = re.compile(rf"lipschitz_upper_\w+|lipschitz_local_\w+|error|{ERROR}|{MEAN_ERROR}|{CE}|{MCE}")
NOT_FIRST = re.compile(rf"recall .*|{ERROR}|{MEAN_ERROR}|{CE}|{MCE}")


@dataclass(frozen=True, kw_only=True)
class Column:
    """A measure under a condition.

    Attributes:
        measure: Of the rows.
        condition: Of the rows; None where no combination has more than one and they differ, such as balls of the
            radius that each was trained with.
    """

    measure: str
    condition: str | None


def direction(measure: str) -> int:
    """Return 1 where more is better, -1 where less is, 0 where neither can be said.

    Example:
        >>> direction("worst_case_top1"), direction("lipschitz_upper_product"), direction("lipschitz_lower")
        (1, -1, 0)
    """
    return 1 if HIGHER.fullmatch(measure) else -1 if LOWER.fullmatch(measure) else 0


def headlines(found: Iterable[tuple[int, str, str]]) -> list[Column]:
    """Return what a main table may show, the most wanted first: no single cells of corruptions, no single classes.

    Args:
        found: Index of the combination, measure and condition of every line of a summary.

    Example:
        >>> headlines([(0, "top1", "fog/3"), (0, "top1", "clean"), (0, "top5", "clean")])
        [Column(measure='top1', condition='clean')]
        >>> headlines([(0, "worst_case_top1", "linf 0.1"), (1, "worst_case_top1", "linf 0.2")])
        [Column(measure='worst_case_top1', condition=None)]
    """
    owners: dict[str, dict[str, set[int]]] = {}
    for index, measure, condition in found:
        if parse_cell(condition) is None and not NOT_FIRST.fullmatch(measure):
            owners.setdefault(measure, {}).setdefault(condition, set()).add(index)
    columns: list[Column] = []
    further: list[Column] = []
    for measure in sorted(owners, key=_rank):
        top = re.fullmatch(r"((?:\w+_)?top)\d+", measure)
        if top and measure != f"{top.group(1)}1" and f"{top.group(1)}1" in owners:
            continue
        conditions = owners[measure]
        members = [each for own in conditions.values() for each in own]
        if len(conditions) > 1 and len(members) == len(set(members)):
            columns.append(Column(measure=measure, condition=None))
            continue
        first = [each for each in (CLEAN, MEAN, MEAN + JPEG) if each in conditions] or list(conditions)[:1]
        columns += [Column(measure=measure, condition=each) for each in first]
        further += [Column(measure=measure, condition=each) for each in conditions if each not in first]
    return columns + further


def _rank(measure: str) -> int:
    return next(place for place, pattern in enumerate(ORDER) if re.fullmatch(pattern, measure))
