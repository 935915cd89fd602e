"""Samples in a report: those that break first, and what they are taken for."""

from withstand.reports.sheet import Cell, Head, Line, Sheet
from withstand.study.combination import Combination, Trial
from withstand.study.digest import Digest
from withstand.study.measures.outcomes import OutcomeTable
from withstand.study.measures.samples import BrokenSample, first_to_break

NUM_SAMPLES, MOST_TABLES = 20, 12
ABOUT = (
    f"The {NUM_SAMPLES} samples that are right on clean inputs and break first: at the lowest severity, radius or "
    "other number of a series of conditions; of these, the ones that are wrong under the most conditions. A cell says "
    "where in a series a sample is wrong first, and what it is taken for there."
)


def samples_sheets(digest: Digest) -> tuple[list[Sheet], str]:
    """Return a table per combination whose outcomes were kept, of its first run that has any, and what to say of them.

    Raises:
        InputError: If a table of outcomes is damaged.
    """
    found: list[Sheet] = []
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


def _sheet(combination: Combination, trial: Trial, table: OutcomeTable, samples: list[BrokenSample]) -> Sheet:
    series = list(dict.fromkeys(found.family for each in samples for found in each.breaks))
    heads = [Head(text="sample", is_number=False), Head(text="class", is_number=False)]
    heads += [
        Head(text=name.partition(", ")[0].replace("_", " "), more=name.partition(", ")[2], is_number=False)
        for name in series
    ]
    lines = []
    for sample in samples:
        own = {each.family: each for each in sample.breaks}
        cells = [Cell(text=sample.identifier or f"no. {sample.number}"), Cell(text=sample.label)]
        for name in series:
            size = own[name].size if name in own else None
            parts = [] if size is None else [f"{size:g}"]
            parts += [own[name].prediction] if name in own and own[name].prediction else []
            cells.append(Cell(text=": ".join(parts) or ("wrong" if name in own else ""), value=size))
        lines.append(Line(index=combination.index, cells=tuple(cells)))
    seeds = f"Of the run with seed {trial.seed}" + (", one of several" if len(combination.planned) > 1 else "")
    return Sheet(
        name=f"samples-{combination.key}",
        title=f"Samples that break first: {combination.name}",
        caption=f"{seeds}; test samples of {table.data}, draws of seed {table.seed}.",
        heads=tuple(heads),
        lines=tuple(lines),
    )
