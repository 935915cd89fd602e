"""Samples that fail first, and their predictions."""

from withstand.rendering.cell import Cell
from withstand.rendering.grid import Grid
from withstand.study.combination import Combination, Trial
from withstand.study.digest import Digest
from withstand.study.measures.outcomes import OutcomeTable
from withstand.study.measures.samples import BrokenSample, first_to_break

NUM_SAMPLES, MOST_TABLES = 20, 12
ABOUT = (
    f"The {NUM_SAMPLES} samples that are correct on clean inputs and fail at the lowest severity or radius; ties are "
    "broken by the number of failed conditions."
)
LEGEND = (
    "Sample: its number in the test part, or its file. Class: the correct one. Other columns: the lowest severity or "
    "radius at which the model is wrong, and its prediction there; empty if it is never wrong."
)


def samples_sheets(digest: Digest) -> tuple[list[Grid], str]:
    """Return a table of outcomes per combination, that of its first run with outcomes, and remarks on them."""
    found: list[Grid] = []
    left: list[str] = []
    for each in digest.combinations:
        if len(found) == MOST_TABLES:
            left.append(each.name)
            continue
        for trial in each.trials:
            table = digest.study.table_of(trial.run) if trial.status == "done" else None
            if table is not None:
                samples = first_to_break(table, NUM_SAMPLES)
                found += [_sheet(each, trial, table, samples)] if samples else []
                break
    more = f" Left out to keep the page small: {', '.join(left)}." if left else ""
    return found, ABOUT + more if found else ""


def _sheet(combination: Combination, trial: Trial, table: OutcomeTable, samples: list[BrokenSample]) -> Grid:
    series = list(dict.fromkeys(found.family for each in samples for found in each.breaks))
    heads = [
        Cell(text=ball.replace("_", " "), aside=more) for ball, _, more in (each.partition(", ") for each in series)
    ]
    lines = []
    for sample in samples:
        own = {each.family: each for each in sample.breaks}
        name = Cell(text=sample.identifier or f"no. {sample.number}", combination=combination.index)
        cells: list[str | Cell] = [name, sample.label]
        for each in series:
            size = own[each].size if each in own else None
            parts = [] if size is None else [f"{size:g}"]
            parts += [own[each].prediction] if each in own and own[each].prediction else []
            cells.append(Cell(text=": ".join(parts) or ("wrong" if each in own else ""), value=size))
        lines.append(tuple(cells))
    seeds = f"Of the run with seed {trial.seed}" + (", one of several" if len(combination.planned) > 1 else "")
    return Grid(
        name=f"samples-{combination.key}",
        title=f"Samples that break first: {combination.name}",
        caption=f"{seeds}; test samples of {table.data}, draws of seed {table.seed}.",
        columns=("sample", "class", *heads),
        lines=tuple(lines),
        notes=(LEGEND,),
        num_labels=2 + len(heads),
    )
