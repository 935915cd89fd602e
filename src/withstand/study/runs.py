"""Read finished runs, and name those that are not: one frame for everything that lies under a folder."""

import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from withstand.errors import InputError
from withstand.study.axes import OWN, columns_of
from withstand.study.condition import parse_cell
from withstand.study.row import read_values
from withstand.study.sweep import PLAN, Entry, read_entries, read_failure

if TYPE_CHECKING:
    import polars

ROWS, CONFIG, HISTORY = "rows.jsonl", "config.yaml", "history.json"
DATA = re.compile(r"^data:\n(?:[ -].*\n)*", re.MULTILINE)
DATA_CLASS = re.compile(r"class_path: [\w.]*?(\w+)\n")
SEED = re.compile(rb"^seed: (\d+)\s*$", re.MULTILINE)


def read(folder: str | Path) -> "polars.DataFrame":
    """Return every row of every run under a folder, with what was varied.

    Args:
        folder: Of a sweep, of several sweeps or runs, or of a run.

    Returns:
        A line per row, with a column per axis, then `seed`, `run` (its folder, within the given one), `status` (`done`,
        `failed` or `missing`), `problem` (why it failed), `measure`, `condition`, `total`, `count` and `value`. An axis
        that is called as one of these, or as a column of what `aggregate` and `paired` return, has a `_` behind its
        name: `std_`. A run that a sweep planned and that has no rows has one line without measure, so that no run is
        missing unseen.
        Runs that belong to no sweep have the axis `name`. What `withstand evaluate` measured of a run later is among
        its rows; other data than those it was trained on are named in the condition (`clean on Cifar10C`), unless
        these say for themselves how they were corrupted (`fog/3`).

    Raises:
        InputError: If there is no run, or a file cannot be read.
    """
    import polars

    root = Path(folder)
    columns: dict[str, list[Any]] = {name: [] for name in OWN}
    labels: list[dict[str, Any]] = []
    for entry in entries_under(root):
        rows = rows_of(root / entry.run)
        problem = None if rows else read_failure(root / entry.run)
        status = "done" if rows else "missing" if problem is None else "failed"
        rows = rows or [{"measure": None, "condition": None, "total": None, "count": None}]
        for name in ("measure", "condition", "total", "count"):
            columns[name] += [row[name] for row in rows]
        columns["value"] += [None if row["count"] is None else row["total"] / row["count"] for row in rows]
        for name, value in (("seed", entry.seed), ("run", entry.run), ("status", status), ("problem", problem)):
            columns[name] += [value] * len(rows)
        labels += [entry.labels] * len(rows)
    if not labels:
        raise InputError(f"results: no run lies under {folder}.")
    # Where nothing is varied there is one combination all the same.
    axes = list(dict.fromkeys(name for each in labels for name in each)) or ["name"]
    if axes == ["name"] and not labels[0]:
        labels = [{"name": root.resolve().name}] * len(labels)
    found = {column: _uniform([each.get(name) for each in labels]) for name, column in columns_of(axes).items()}
    kinds = {"seed": polars.Int64, "total": polars.Float64, "count": polars.Int64, "value": polars.Float64}
    schema = {name: kinds.get(name, polars.String) for name in OWN}
    frame = polars.DataFrame(found, strict=False).hstack(polars.DataFrame(columns, schema=schema))
    # A plan that names the same run under the same values twice would make each of its rows count twice.
    return frame.unique(maintain_order=True)


def rows_of(folder: Path) -> list[dict[str, Any]]:
    """Return the rows of a run, and of what was evaluated later; of the same measure and condition the newest counts.

    Raises:
        InputError: If a file holds something else.
    """
    rows = _rows(folder / ROWS)
    later = sorted(folder.glob(f"evaluations/*/{ROWS}"), key=lambda each: (each.stat().st_mtime_ns, each))
    if not rows or not later:
        return rows
    own = _data_of(folder / CONFIG)
    found = {(row["measure"], row["condition"]): row for row in rows}
    for path in later:
        data = _data_of(path.with_name(CONFIG))
        kind = DATA_CLASS.search(data)
        for row in _rows(path):
            condition = row["condition"]
            if data != own and kind is not None and parse_cell(condition) is None:
                condition = f"{condition} on {kind.group(1)}"
            found[row["measure"], condition] = row | {"condition": condition}
    return list(found.values())


def axes_of(frame: "polars.DataFrame") -> list[str]:
    """Return the names of what was varied."""
    return [name for name in frame.columns if name not in OWN]


def entries_under(root: Path) -> list[Entry]:
    """Return the runs under a folder, planned and found; `run` is a path within the folder.

    Raises:
        InputError: If there is no such folder.
    """
    if not root.is_dir():
        raise InputError(f"results: expected a folder of runs, got {root}.")
    if (root / CONFIG).exists():
        return [_single(root, ".")]
    if (root / PLAN).exists():
        return list(read_entries(root))
    found: list[Entry] = []
    for each in sorted(root.iterdir()):
        if (each / PLAN).exists():
            planned = read_entries(each)
            found += [Entry(labels=own.labels, seed=own.seed, run=f"{each.name}/{own.run}") for own in planned]
        elif (each / CONFIG).exists():
            found.append(_single(each, each.name))
    return found


def unplanned_under(root: Path) -> list[str]:
    """Return the runs under a folder that lie in that of a sweep without being in its plan, so that nothing reads them.

    Raises:
        InputError: If a plan cannot be read.
    """
    sweeps = [root] if (root / PLAN).exists() else [path.parent for path in sorted(root.glob(f"*/{PLAN}"))]
    found: list[Path] = []
    for sweep in sweeps if not (root / CONFIG).exists() else []:
        planned = {each.run for each in read_entries(sweep)}
        runs = {path.parent for name in (CONFIG, ROWS) for path in sweep.glob(f"*/{name}")}
        found += sorted(each for each in runs if each.name not in planned)
    return [each.relative_to(root).as_posix() for each in found]


def read_histories(folder: str | Path, runs: Iterable[str]) -> Iterator[tuple[str, list[dict[str, float]]]]:
    """Yield the epochs of each run that has finished its training."""
    for run in runs:
        path = Path(folder) / run / HISTORY
        if path.exists():
            yield run, json.loads(path.read_text())


def _single(folder: Path, run: str) -> Entry:
    """Return a run that belongs to no sweep; its name is that of the folder without the identity."""
    found = SEED.search((folder / CONFIG).read_bytes())
    name = folder.resolve().name.rpartition("-")[0] or folder.resolve().name
    return Entry(labels={"name": name}, seed=int(found.group(1)) if found else 0, run=run)


def _rows(path: Path) -> list[dict[str, Any]]:
    """Return the fields of rows, and nothing where the run is not finished."""
    try:
        return read_values(path)
    except FileNotFoundError:
        return []


def _data_of(path: Path) -> str:
    """Return the part of a configuration that says which data were used."""
    found = DATA.search(path.read_text()) if path.exists() else None
    return found.group() if found else ""


def _uniform(values: list[Any]) -> list[Any]:
    """Return values of one kind, besides None: numbers if all are, else texts."""
    if all(isinstance(each, int | float | None) and not isinstance(each, bool) for each in values):
        whole = not any(isinstance(each, float) for each in values)
        return values if whole else [each if each is None else float(each) for each in values]
    return [each if each is None else f"{each:g}" if isinstance(each, float) else str(each) for each in values]
