"""Doubts: the numbers of a report that are not trustworthy, in sentences."""

from withstand.conditions import in_order
from withstand.reports.numbers import with_unit
from withstand.study.digest import Digest

MOST_NAMED = 4  # numbers in a sentence


def doubts(digest: Digest) -> list[str]:
    """Return which numbers of which combination are not trustworthy, why, and what to do about it.

    Returns:
        A text per combination and reason.
    """
    found: dict[tuple[int, str], list[str]] = {}
    doubtful = {key: line for key, line in digest.lines.items() if line["doubt"]}
    measures, conditions = list(digest.study.measures), in_order(condition for _, _, condition in doubtful)
    for key in sorted(doubtful, key=lambda key: (key[0], measures.index(key[1]), conditions.index(key[2]))):
        (index, name, condition), line = key, doubtful[key]
        measure = digest.study.measures[name]
        value = with_unit(measure, line["q50"], line["samples"])
        found.setdefault((index, line["doubt"]), []).append(f"{measure.words}, {condition} ({value})")
    return [
        f"{digest.combinations[index].name}: do not trust the {_listed(numbers)}. {doubt}"
        for (index, doubt), numbers in found.items()
    ]


def _listed(numbers: list[str]) -> str:
    more = [f"{len(numbers) - MOST_NAMED} more"] if len(numbers) > MOST_NAMED else []
    return "; ".join([*numbers[:MOST_NAMED], *more])
