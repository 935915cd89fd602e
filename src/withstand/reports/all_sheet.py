"""The table of all numbers of a report."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from withstand.conditions import in_order
from withstand.rendering.cell import DOUBT_NOTE, Cell
from withstand.rendering.grid import Grid
from withstand.reports.numbers import number, titled
from withstand.study.digest import Digest

MOST_LINES = 5000
NOT_MEASURED = "\N{EN DASH}"
OVER_SEEDS = {"q50": "median", "q10": "10 %", "q90": "90 %", "mean": "mean", "low": "low", "high": "high", "std": "std"}
OVER_SAMPLES = {"sample_low": "sample low", "sample_high": "sample high"}


def all_sheet(digest: Digest, *, index: int | None = None, most: int = MOST_LINES) -> Grid:
    """Return every line of the summary, or those of one combination.

    Args:
        digest: The numbers.
        index: Index of a combination; None takes all.
        most: Lines; a note says how many are left out.
    """
    chosen = digest.summary if index is None else digest.summary.filter(digest.summary["combination"] == index)
    columns = OVER_SEEDS | (OVER_SAMPLES if chosen["sample_low"].is_not_null().any() else {})
    place = {name: k for k, name in enumerate(in_order(chosen["condition"].drop_nulls()))}
    ordered = list(chosen.iter_rows(named=True))
    ordered.sort(key=lambda line: (line["combination"], place.get(line["condition"], 0)))
    lines = [_line(digest, line, tuple(columns)) for line in ordered[:most]]
    notes = ["Sample: the 95 % interval of a single run over the test samples."] if "sample_low" in columns else []
    notes += [DOUBT_NOTE] if (chosen["doubt"] != "").any() else []
    notes += digest.study.holes
    if len(chosen) > most:
        notes.append(f"The first {most:,} of {len(chosen):,} rows; summary.csv has all.")
    return Grid(
        name="all",
        title="All numbers",
        caption="Every measure and condition over the seeds: quantiles, mean, the 95 % interval of the mean, standard "
        "deviation.",
        columns=("combination", "measure", "condition", *columns.values(), "runs", "n", "missing seeds"),
        lines=tuple(lines),
        num_labels=3,
        notes=tuple(notes),
    )


def _line(digest: Digest, line: Mapping[str, Any], columns: tuple[str, ...]) -> tuple[str | Cell, ...]:
    """Return a line of the summary."""
    combination = digest.combinations[line["combination"]]
    name = Cell(text=combination.name, combination=combination.index)
    flag = "missing" if line["done"] < line["planned"] else ""
    runs = Cell(text=f"{line['done']}/{line['planned']}", value=float(line["done"]), flag=flag)
    if line["measure"] is None:
        return name, "no result", "", *[NOT_MEASURED] * len(columns), runs, NOT_MEASURED, line["missing"]
    measure = digest.study.measures[line["measure"]]
    shown = [each for each in columns if line["done"] > 1 or each in ("q50", "mean", *OVER_SAMPLES)]
    values = [
        Cell(text=number(measure, line[each], line["samples"]), value=measure.scaled(line[each]), doubt=line["doubt"])
        if each in shown and line[each] is not None
        else NOT_MEASURED
        for each in columns
    ]
    name = replace(name, measure=measure.name, condition=line["condition"])
    count = Cell(text=f"{line['samples']:,}", value=float(line["samples"]))
    return name, titled(measure).label, line["condition"], *values, runs, count, line["missing"]
