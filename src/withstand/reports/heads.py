"""Heads of columns that say which direction is better."""

from collections.abc import Sequence
from dataclasses import replace

from withstand.rendering.cell import Cell
from withstand.reports.numbers import sentence
from withstand.study.measures.measure import Measure


def directed(heads: Sequence[Cell], measures: Sequence[Measure]) -> tuple[list[Cell], list[str]]:
    """Return the heads of a table and its notes on the better direction: in the heads if columns differ in it.

    Example:
        >>> error, top1 = (Measure(name=each, column="c", better=each) for each in ("lower", "higher"))
        >>> directed([Cell(text="Error")], [error])[1]
        ['Lower is better.']
        >>> [each.aside for each in directed([Cell(text="Error", aside="fog"), Cell(text="Top 1")], [error, top1])[0]]
        ['fog, lower is better', 'higher is better']
    """
    directions = {each.better for each in measures}
    if len(directions) == 1:
        return [*heads], [f"{sentence(each)} is better." for each in directions if each]
    more = [f"{each.better} is better" if each.better else "" for each in measures]
    asides = [", ".join(filter(None, (head.aside, words))) for head, words in zip(heads, more, strict=True)]
    return [replace(head, aside=aside) for head, aside in zip(heads, asides, strict=True)], []
