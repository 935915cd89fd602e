"""Doubts: the numbers of a report that are not trustworthy, in sentences."""

from withstand.reports.numbers import with_unit
from withstand.study.digest import Digest

MOST_NAMED = 4  # numbers in a sentence


def doubts(digest: Digest) -> list[str]:
    """Return which numbers of which combination are not trustworthy, why, and what to do about it.

    Returns:
        A text per combination and reason.
    """
    found: dict[tuple[int, str], list[str]] = {}
    for (index, name, condition), line in digest.lines.items():
        if line["doubt"]:
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
