"""Means over severities and corruptions, run by run, as further rows: what tables show instead of cells."""

from collections.abc import Collection, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from withstand.study.condition import CLEAN, JPEG, SEVERITIES, Saved, parse_cell
from withstand.study.corruption_error import WHOLE, CorruptionErrors, corruption_errors
from withstand.study.corruption_means import MEAN, averaged, corruption_cells
from withstand.study.provenance import PROVENANCE, read_known
from withstand.study.row import Row

if TYPE_CHECKING:
    import polars

ALL, ALL_BUT_NOISE = "15 corruptions", "12 corruptions without noise"
ERROR, MEAN_ERROR = "corruption_error", "mean_corruption_error"
CE, MCE = "ce_alexnet", "mce_alexnet"


def references(folder: Path, runs: Iterable[str]) -> set[str]:
    """Return the runs whose errors may be divided by AlexNet's: of ImageNet's 1,000 classes at 224 pixels.

    Args:
        folder: Of the study.
        runs: Their folders, within it.
    """
    known = {run: read_known(folder / run / PROVENANCE) for run in runs}
    return {
        run for run, own in known.items() if own.get("shape") == [3, 224, 224] and len(own.get("classes", ())) == 1000
    }


def with_corruption_rows(frame: "polars.DataFrame", *, references: Collection[str] = ()) -> "polars.DataFrame":
    """Return a frame with further rows for every run that was measured under corruptions.

    Args:
        frame: As `read` returns it.
        references: The runs whose errors may be divided by AlexNet's.

    Returns:
        The frame, followed by rows of the measures `top1` (condition `corruptions`: the mean over all cells of the
        study, extra corruptions apart), `corruption_error` (per corruption, its mean over the five severities),
        `mean_corruption_error` and, for images saved as JPEG of runs in `references`, `ce_alexnet` and `mce_alexnet`.
        A run that lacks a cell has no mean of it, so that it is counted as missing. Their `total` is the mean times
        the count of the smallest cell.
    """
    import polars

    wanted: dict[Saved, list[str]] = {}
    kept = [CLEAN]
    for saved in get_args(Saved):
        cells = corruption_cells(frame, measure="top1", saved=saved)
        kept += [cell.condition for own in cells.values() for cell in own]
        wanted[saved] = [cell.condition for kind in averaged(list(cells)) for cell in cells[kind]]
    if kept == [CLEAN]:
        return frame
    chosen = frame.filter((polars.col("measure") == "top1") & polars.col("condition").is_in(kept))
    # A run may stand under several combinations: it has its means once, and then under each.
    chosen = chosen.unique(["run", "measure", "condition"], keep="first", maintain_order=True)
    columns: dict[str, list[Any]] = {"run": [], "measure": [], "condition": [], "value": [], "count": []}
    for (run,), own in chosen.group_by("run", maintain_order=True):
        rows = [
            Row(measure="top1", condition=name, total=total, count=count)
            for name, total, count in own.select("condition", "total", "count").iter_rows()
        ]
        for measure, condition, value, count in _means(rows, wanted, reference=run in references):
            for name, each in zip(columns, (run, measure, condition, value, count), strict=True):
                columns[name].append(each)
    about = frame.drop("measure", "condition", "total", "count", "value").unique(maintain_order=True)
    found = polars.DataFrame(columns, schema_overrides={"value": polars.Float64}).join(
        about, on="run", how="left", maintain_order="left_right"
    )
    found = found.with_columns(total=polars.col("value") * polars.col("count"))
    return polars.concat([frame, found.select(frame.columns)])


def _means(rows: list[Row], wanted: dict[Saved, list[str]], *, reference: bool) -> list[tuple[str, str, float, int]]:
    """Return measure, condition, value and count of every mean that one run has."""
    found: list[tuple[str, str, float, int]] = []
    for saved, members in wanted.items():
        values = {row.condition: row for row in rows if _saved(row.condition) == saved}
        if not values:
            continue
        count = min(row.count for row in values.values())
        errors = corruption_errors(rows, saved=saved)
        if values.keys() >= set(members):
            mean = sum(values[each].value for each in members) / len(members)
            found.append(("top1", MEAN + saved, mean, count))
        found += [(ERROR, kind, error, count) for kind, error in _errors(values, errors, saved).items()]
        overall = [
            (MEAN_ERROR, ALL, errors.mean_corruption_error),
            (MEAN_ERROR, ALL_BUT_NOISE, errors.mean_corruption_error_without_noise),
        ]
        if reference and saved == JPEG:
            overall += [(MCE, ALL, errors.mce_alexnet), (MCE, ALL_BUT_NOISE, errors.mce_alexnet_without_noise)]
            overall += [(CE, kind, ratio) for kind, ratio in errors.ce_alexnet.items()]
        found += [(measure, where + saved, value, count) for measure, where, value in overall if value is not None]
    return found


def _errors(values: dict[str, Row], errors: CorruptionErrors, saved: Saved) -> dict[str, float]:
    """Return the errors of all corruptions, extras and variants too, by name with the way of saving."""
    found = {name + saved: error for name, error in errors.errors.items()}
    largest = max(row.count for row in values.values())
    for kind in dict.fromkeys(name.rpartition("/")[0] for name in values):
        cells = [values.get(f"{kind}/{severity}") for severity in SEVERITIES]
        whole = [row.value for row in cells if row is not None and row.count >= WHOLE * largest]
        if kind.removesuffix(JPEG) not in errors.errors and len(whole) == len(SEVERITIES):
            found[kind] = 1 - sum(whole) / len(whole)
    return found


def _saved(condition: str) -> str | None:
    cell = parse_cell(condition)
    return None if cell is None else cell.saved
