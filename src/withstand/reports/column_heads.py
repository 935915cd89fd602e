"""Heads of columns: measures and conditions, and which direction is better."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from withstand.conditions import in_words, parse_corruption
from withstand.rendering.cell import Cell
from withstand.reports.numbers import sentence
from withstand.study.measures.measure import Measure
from withstand.study.primary import Column


def heads_of(columns: Sequence[Column], measures: Sequence[Measure]) -> tuple[Cell, ...]:
    """Return the heads of columns; with budgets where heads would be the same without them."""
    short = [_head(column, measure) for column, measure in zip(columns, measures, strict=True)]
    times = Counter((head.text, head.aside) for head in short)
    return tuple(
        head if times[head.text, head.aside] == 1 or column.condition is None else replace(head, aside=column.condition)
        for head, column in zip(short, columns, strict=True)
    )


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


def _head(column: Column, measure: Measure) -> Cell:
    """Return the head of a column; a corruption is shown above the measure."""
    words = sentence(measure.words if measure.percent else measure.label)
    kind = None if column.condition is None else parse_corruption(column.condition)
    if kind is not None:
        return Cell(text=in_words(kind[0]), aside=words)
    condition = "own ball" if column.condition is None else column.condition.replace("_", " ")
    condition = condition.partition(", ")[0] if measure.kind else condition
    return Cell(text=words, aside=condition)
