"""Group: conditions of one kind, such as the severities of a corruption, whose mean accuracy is one number."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal

from withstand.conditions import (
    CLEAN,
    CORRUPTIONS,
    JPEG,
    MEAN,
    Cell,
    in_words,
    is_attack,
    is_mean,
    parse_cell,
    parse_corruption,
)
from withstand.study.digest import Digest
from withstand.study.measures.cells import averaged
from withstand.study.measures.measure import Measure

Kind = Literal["clean", "corruption", "condition", "attack", "mean"]


@dataclass(frozen=True, kw_only=True)
class Group:
    """Conditions of one kind, whose mean accuracy is one number.

    Attributes:
        name: The same for no other group of the study, e.g. `fog+jpeg`.
        words: In a sentence, e.g. `fog, saved as JPEG`.
        kind: Which kind of conditions.
        measure: An accuracy.
        conditions: As in rows.
    """

    name: str
    words: str
    kind: Kind
    measure: Measure
    conditions: tuple[str, ...]

    @property
    def severities(self) -> str:
        """The severities that it averages, as text; empty if there are none."""
        cells = [cell for each in self.conditions if (cell := parse_cell(each))]
        found = sorted({cell.severity for cell in cells})
        if not found or self.kind == "mean":
            return ""
        if len(found) == 1:
            return f"severity {found[0]}"
        is_range = found == list(range(found[0], found[-1] + 1))
        listed = f"{found[0]} to {found[-1]}" if is_range else ", ".join(map(str, found))
        return f"mean of severities {listed}"


def groups_of(digest: Digest) -> tuple[Group, ...]:
    """Return the groups of a study: clean inputs, corruptions, other conditions, attacks, and means over them.

    Empty without a measure of accuracy in percent.
    """
    accuracy = digest.study.accuracy
    if accuracy is None or not accuracy.percent or accuracy.direction < 1:
        return ()
    known = list(dict.fromkeys(condition for _, name, condition in digest.lines if name == accuracy.name))
    cells = sorted((cell for each in known if (cell := parse_cell(each))), key=_order)
    found = [Group(name=CLEAN, words="clean inputs", kind="clean", measure=accuracy, conditions=(CLEAN,))]
    found = found if CLEAN in known else []
    kinds: dict[str, list[Cell]] = {}
    for cell in cells:
        kinds.setdefault(cell.corruption + cell.saved, []).append(cell)
    found += [_corruption(name, own, accuracy) for name, own in kinds.items()]
    others = [each for each in known if each != CLEAN and not parse_cell(each) and not _is_number_of_others(each)]
    found += [_other(each, accuracy) for each in others]
    found += _attacks(digest)
    means = [_mean(own, saved, accuracy) for saved in ("", JPEG) if (own := [c for c in cells if c.saved == saved])]
    others = [each for each in others if not is_attack(each)]
    if not means and len(others) > 1:
        words = f"{len(others)} conditions"
        means = [Group(name=words, words=words, kind="mean", measure=accuracy, conditions=tuple(others))]
    return (*found, *means)


def _other(condition: str, accuracy: Measure) -> Group:
    kind, words = ("attack", f"attack ({condition})") if is_attack(condition) else ("condition", condition)
    return Group(name=condition, words=words, kind=kind, measure=accuracy, conditions=(condition,))


def _corruption(name: str, cells: Iterable[Cell], accuracy: Measure) -> Group:
    conditions = tuple(each.condition for each in cells)
    return Group(name=name, words=in_words(name), kind="corruption", measure=accuracy, conditions=conditions)


def _mean(cells: Iterable[Cell], saved: str, accuracy: Measure) -> Group:
    members = averaged(cells)
    number = len({each.corruption for each in members})
    words = in_words(f"{number} corruption{'s' if number > 1 else ''}{saved}")
    conditions = tuple(each.condition for each in members)
    return Group(name=MEAN + saved, words=words, kind="mean", measure=accuracy, conditions=conditions)


def _attacks(digest: Digest) -> list[Group]:
    """Return a group per condition of accuracy under attack; of several measures of it the first one declared."""
    found: dict[str, Group] = {}
    order = list(digest.study.measures)
    for _, name, condition in digest.lines:
        measure = digest.study.measures[name]
        if measure.kind == "attacked" and measure.primary and measure.percent and measure.direction > 0:
            words = f"attack ({condition.partition(', ')[0]})"
            group = Group(
                name=f"{name} {condition}", words=words, kind="attack", measure=measure, conditions=(condition,)
            )
            known = found.setdefault(condition, group)
            if order.index(name) < order.index(known.measure.name):
                found[condition] = group
    times = Counter(group.words for group in found.values())
    certified = {condition for _, name, condition in digest.lines if digest.study.measures[name].kind == "certified"}
    short = {each: _with_budget(each, "sandwich" if each in certified else "") for each in found}
    clashes = Counter(short.values())
    for condition, group in found.items():
        if times[group.words] > 1:
            words = short[condition] if clashes[short[condition]] == 1 else _with_budget(condition)
            found[condition] = replace(group, words=words)
    return list(found.values())


def _with_budget(condition: str, budget: str = "") -> str:
    """Return the words of an attack with its budget, by default the one in its condition."""
    ball, _, own = condition.partition(", ")
    return f"attack ({ball}, {budget or own})"


def _order(cell: Cell) -> tuple[int, str, int]:
    return CORRUPTIONS.index(cell.corruption), cell.saved, cell.severity


def _is_number_of_others(condition: str) -> bool:
    """Return whether a condition is a number over others: a mean of corruptions, or one over severities."""
    return is_mean(condition) or parse_corruption(condition) is not None
