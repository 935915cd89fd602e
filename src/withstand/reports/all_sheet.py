"""The table of all numbers of a report."""

from collections.abc import Mapping
from typing import Any

from withstand.reports.numbers import number, titled
from withstand.reports.sheet import Cell, Head, Line, Sheet
from withstand.study.digest import Digest

MOST_LINES = 5000
NOT_MEASURED = "\N{EN DASH}"
OVER_SEEDS = {"q50": "median", "q10": "10 %", "q90": "90 %", "mean": "mean", "low": "low", "high": "high", "std": "std"}
OVER_SAMPLES = {"sample_low": "sample low", "sample_high": "sample high"}


def all_sheet(digest: Digest, *, index: int | None = None, most: int = MOST_LINES) -> Sheet:
    """Return every line of the summary, or those of one combination.

    Args:
        digest: The numbers.
        index: Of a combination; None takes all.
        most: Lines; a note says how many are left out.
    """
    chosen = digest.summary if index is None else digest.summary.filter(digest.summary["combination"] == index)
    columns = OVER_SEEDS | (OVER_SAMPLES if chosen["sample_low"].is_not_null().any() else {})
    heads = [*(Head(text=each, is_number=False) for each in ("combination", "measure", "condition"))]
    heads += [*(Head(text=each) for each in columns.values()), Head(text="runs"), Head(text="n")]
    heads.append(Head(text="missing seeds", is_number=False))
    lines = [_line(digest, line, tuple(columns)) for line in chosen.head(most).iter_rows(named=True)]
    notes = list(digest.study.holes)
    if len(chosen) > most:
        notes.append(f"Only the first {most:,} of {len(chosen):,} lines are here; all are in summary.csv.")
    caption = (
        "Every measure and condition over the seeds: quantiles, mean, the 95 % interval of the mean, standard "
        "deviation." + (" Sample: the 95 % interval of a single run over the test samples." if len(columns) > 7 else "")
    )
    return Sheet(
        name="all", title="All numbers", caption=caption, heads=tuple(heads), lines=tuple(lines), notes=tuple(notes)
    )


def _line(digest: Digest, line: Mapping[str, Any], columns: tuple[str, ...]) -> Line:
    """Return a line of the summary as texts."""
    combination = digest.combinations[line["combination"]]
    name = Cell(text=combination.name, value=float(combination.index))
    flag = "missing" if line["done"] < line["planned"] else ""
    runs = Cell(text=f"{line['done']}/{line['planned']}", value=float(line["done"]), flag=flag)
    nothing, missing = Cell(text=NOT_MEASURED), Cell(text=line["missing"])
    if line["measure"] is None:
        cells = (name, Cell(text="nothing"), Cell(text=""), *[nothing] * len(columns), runs, nothing, missing)
        return Line(index=combination.index, cells=cells)
    measure = digest.study.measures[line["measure"]]
    several = line["done"] > 1
    shown = [each for each in columns if several or each in ("q50", "mean", *OVER_SAMPLES)]
    values = [
        Cell(text=number(measure, line[each], line["samples"]), value=measure.scaled(line[each]))
        if each in shown and line[each] is not None
        else nothing
        for each in columns
    ]
    texts = (Cell(text=titled(measure).label), Cell(text=line["condition"]))
    count = Cell(text=f"{line['samples']:,}", value=float(line["samples"]))
    return Line(
        index=combination.index,
        cells=(name, *texts, *values, runs, count, missing),
        measure=measure.name,
        condition=line["condition"],
    )
