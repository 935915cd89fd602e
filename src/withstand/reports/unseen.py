"""The corruptions that training has not seen: those that share no operation with it."""

from dataclasses import replace

from withstand.conditions import BEYOND, EXTRAS, IMAGENET_C, operations_of_corruption, parse_cell
from withstand.rendering.cell import Cell
from withstand.rendering.grid import Grid
from withstand.study.combination import Combination
from withstand.study.digest import Digest
from withstand.study.provenance import PROVENANCE, Provenance

UNKNOWN = "?"
SUITES = {"C": (*IMAGENET_C, "frost-procedural"), "extras": EXTRAS} | BEYOND
NOTE = (
    "Unseen: number of measured corruptions of each suite that share no operation (noise, filter, tone, ...) with "
    "training, as both declare; ? if training or a corruption declares none."
)


def with_unseen(grid: Grid, digest: Digest) -> Grid:
    """Return a table of combinations with a column of the number of corruptions that training has not seen.

    Without corruptions, or if nothing is known of any training, the table is unchanged.
    """
    cells = [_unseen(digest, each) for each in digest.combinations]
    if not any(cell.text not in ("", UNKNOWN) for cell in cells):
        return grid
    lines = tuple((*(line or ()), cell) for line, cell in zip(grid.lines, cells, strict=True))
    return replace(grid, columns=(*grid.columns, "unseen"), lines=lines, notes=(*grid.notes, NOTE))


def _unseen(digest: Digest, combination: Combination) -> Cell:
    """Return the number of unseen corruptions by suite, and what training did."""
    conditions = {condition for index, _, condition in digest.lines if index == combination.index}
    measured = {cell.corruption for each in conditions if (cell := parse_cell(each))}
    if not measured:
        return Cell(text="")
    seen = _seen(digest, combination)
    if seen is None:
        return Cell(text=UNKNOWN)
    found = []
    for suite, members in SUITES.items():
        own = [operations_of_corruption(each) for each in members if each in measured]
        if own:
            unseen = sum(each is not None and each.isdisjoint(seen) for each in own)
            found.append(f"{suite} {UNKNOWN if None in own else unseen}/{len(own)}")
    return Cell(text=", ".join(found), aside=f"trained with {', '.join(sorted(seen))}" if seen else "")


def _seen(digest: Digest, combination: Combination) -> frozenset[str] | None:
    """Return the operations of the training of a combination's first finished run; None if they are not known."""
    folder = digest.study.folder
    run = next((each.run for each in combination.trials if each.status == "done"), None)
    if folder is None or run is None:
        return None
    path = folder / run / PROVENANCE
    operations = digest.study.spare(lambda: Provenance.read(path), Provenance()).operations
    return None if operations is None else frozenset(operations)
