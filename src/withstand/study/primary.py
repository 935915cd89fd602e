"""Selection of primary measures."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from withstand.conditions import CLEAN, JPEG, MEAN, in_order, is_of_suite, parse_cell
from withstand.study.measures.measure import ACCURACY, Measure


@dataclass(frozen=True, kw_only=True)
class Column:
    """A measure under a condition.

    Attributes:
        measure: Name of the measure.
        condition: Condition of the rows. None if each combination has only one condition, but not the same one, such as
            a ball with its own training radius.
    """

    measure: str
    condition: str | None


def headlines(
    found: Iterable[tuple[int, str, str]], measures: Mapping[str, Measure], *, every: bool = False
) -> list[Column]:
    """Return what a table may show, the most wanted first: accuracies, then the others in the order of declaration.

    Args:
        found: Index of the combination, measure and condition of every line of a summary.
        measures: By name, in the order of declaration.
        every: Whether measures that are not primary are shown too, and single cells of those that have nothing else;
            the first condition of every measure comes before the further ones of any.

    Example:
        >>> top1, top5 = (Measure(name=f"top{k}", column="correct", topic=ACCURACY, primary=k == 1) for k in (1, 5))
        >>> bound = Measure(name="bound", column="bound")
        >>> known = {each.name: each for each in (bound, top1, top5)}
        >>> lines = [(0, "bound", "l2"), (0, "top1", "fog/3"), (0, "top1", "clean"), (0, "top5", "clean")]
        >>> [(each.measure, each.condition) for each in headlines(lines, known)]
        [('top1', 'clean'), ('bound', 'l2')]
        >>> headlines([(0, "bound", "linf 0.1"), (1, "bound", "linf 0.2")], known)
        [Column(measure='bound', condition=None)]
    """
    owners: dict[str, dict[str, set[int]]] = {}
    for index, measure, condition in found:
        if every or measures[measure].primary:
            owners.setdefault(measure, {}).setdefault(condition, set()).add(index)
    columns: list[Column] = []
    further: list[Column] = []
    for measure in sorted((each for each in measures if each in owners), key=lambda each: _rank(measures[each])):
        cells = [each for each in owners[measure] if parse_cell(each) is not None]
        conditions = {each: own for each, own in owners[measure].items() if each not in cells}
        if not conditions and not every:
            continue
        conditions = conditions or owners[measure]
        members = [each for own in conditions.values() for each in own]
        of_suites = any(is_of_suite(each) for each in conditions)  # of which each has its own column
        if len(conditions) > 1 and len(members) == len(set(members)) and not of_suites:
            columns.append(Column(measure=measure, condition=None))
            continue
        ordered = in_order(conditions)
        first = [each for each in (CLEAN, MEAN, MEAN + JPEG) if each in conditions] or ordered[:1]
        first += [each for each in ordered if is_of_suite(each)]
        columns += [Column(measure=measure, condition=each) for each in first]
        further += [Column(measure=measure, condition=each) for each in ordered if each not in first]
    return columns + further


def _rank(measure: Measure) -> bool:
    return measure.topic != ACCURACY
