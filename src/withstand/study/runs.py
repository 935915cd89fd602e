"""Read finished runs, and name those that are not: one frame for everything that lies under a folder."""

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from withstand.conditions import JPEG, MEAN, parse_cell, parse_corruption
from withstand.errors import InputError, brief
from withstand.study.axes import OWN, columns_of
from withstand.study.measures.measure import Measure, joined
from withstand.study.measures.row import Row, read_values
from withstand.study.sweep import PLAN, Entry, read_entries, read_failure, short_name

if TYPE_CHECKING:
    import polars

ROWS, CONFIG, HISTORY, NOTES = "rows.jsonl", "config.yaml", "history.json", "notes.json"
EVALUATIONS, OUTCOMES = "evaluations", "outcomes"  # folders
DATA = re.compile(r"^data:\n(?:[ -].*\n)*", re.MULTILINE)
DATA_CLASS = re.compile(r"class_path: [\w.]*?(\w+)\n")
SEED = re.compile(rb"^seed: (\d+)\s*$", re.MULTILINE)
EMPTY = {"measure": None, "condition": None, "value": None, "count": None, "low": None, "high": None, "doubt": None}


@dataclass(frozen=True, kw_only=True)
class Gathered:
    """The contents of the files of some runs.

    Attributes:
        frame: A line per run and row, as `read` returns it.
        measures: Measures by name, in the order of declaration.
        notes: Notes about how a run was measured, by run; runs without notes are left out.
        conflicts: Names of measures that files declare differently; the newest file is used.
    """

    frame: "polars.DataFrame"
    measures: dict[str, Measure]
    notes: dict[str, tuple[str, ...]] = field(default_factory=dict)
    conflicts: tuple[str, ...] = ()


class _File(NamedTuple):
    """Measures that a file of rows declares, and when it was written."""

    written: int
    measures: dict[str, Measure]


def read(folder: str | Path) -> "polars.DataFrame":
    """Return every row of every run under a folder, with what was varied.

    Args:
        folder: Folder of a sweep, of several sweeps or runs, of a run, or of evaluations of models by name.

    Returns:
        A line per row, with a column per axis, then `seed`, `run` (its folder, within the given one), `status` (`done`,
        `failed` or `missing`), `problem` (why it failed), `measure`, `condition`, `value`, `count`, `low` and `high`
        (the 95 % interval over the test samples, where the row has one), and `doubt` (why the value is not
        trustworthy; empty if nothing is known against it). An axis with the name of one of these, or as
        a column of what `aggregate` and `paired` return, has a `_` behind its name: `std_`. A run that a sweep planned
        and that has no rows has one line without measure, so that no run is missing unseen.
        Runs that belong to no sweep, and models that were evaluated by name, have the axis `name`. What `withstand
        evaluate` measured of a run later is among its rows; other data than those it was trained on are named in the
        condition (`clean on Cifar10C`), unless the condition is a cell of corruptions (`fog/3`).

    Raises:
        InputError: If there is no run, or a file cannot be read.
    """
    return gather(folder).frame


def gather(folder: str | Path) -> Gathered:
    """Return every row of every run under a folder, and what its files say about them.

    Raises:
        InputError: If there is no run, or a file cannot be read.
    """
    root = Path(folder)
    entries = entries_under(root)
    if not entries:
        raise InputError(f"results: expected a folder with runs, found none in {folder}")
    files: list[_File] = []
    notes: dict[str, tuple[str, ...]] = {}
    found: list[tuple[Entry, list[dict[str, Any]], str | None]] = []
    for entry in entries:
        rows, own, said = _content(root / entry.run)
        found.append((entry, rows, None if rows else read_failure(root / entry.run)))
        files += own
        notes |= {entry.run: said} if said else {}
    measures: dict[str, Measure] = {}
    times: dict[str, int] = {}
    conflicts: dict[str, None] = {}
    for file in files:
        for name, measure in file.measures.items():
            known = measures.get(name, measure)
            newest, oldest = (measure, known) if file.written >= times.get(name, 0) else (known, measure)
            measures[name] = joined({name: newest}, {name: oldest})[name]
            times[name] = max(file.written, times.get(name, 0))
            conflicts |= {} if known.is_comparable(measure) else {name: None}
    return Gathered(frame=_frame(found, root), measures=measures, notes=notes, conflicts=tuple(conflicts))


def gather_rows(
    rows: Mapping[str, Sequence[Row]], measures: Mapping[str, Measure], notes: Sequence[str] = ()
) -> Gathered:
    """Return rows of models as they would be read from a folder.

    Args:
        rows: By model.
        measures: By name.
        notes: Sentences about how all of them were measured.
    """
    entries = [Entry(labels={"name": model}, seed=0, run=model) for model in rows]
    found = [(entry, [asdict(row) for row in rows[entry.run]], None) for entry in entries]
    return Gathered(
        frame=_frame(found, Path("evaluation")),
        measures=dict(measures),
        notes=dict.fromkeys(rows, tuple(notes)) if notes else {},
    )


def axes_of(frame: "polars.DataFrame") -> list[str]:
    """Return the names of what was varied."""
    return [name for name in frame.columns if name not in OWN]


def entries_under(root: Path) -> list[Entry]:
    """Return the runs under a folder, planned and found, and models evaluated by name; `run` is a path within it.

    Raises:
        InputError: If there is no such folder.
    """
    if not root.is_dir():
        raise InputError(f"results: expected a folder of runs, got {brief(str(root))}.")
    if (root / CONFIG).exists():
        return [_single(root, ".")]
    if (root / PLAN).exists():
        return list(read_entries(root))
    found: list[Entry] = []
    single: list[Entry] = []
    for each in sorted(root.iterdir()):
        if (each / PLAN).exists():
            planned = read_entries(each)
            found += [Entry(labels=own.labels, seed=own.seed, run=f"{each.name}/{own.run}") for own in planned]
        elif (each / CONFIG).exists():
            single.append(_single(each, each.name))
    if root.name == EVALUATIONS:
        return found + _told_apart(root, single)
    named = [path.parent for path in sorted((root / EVALUATIONS).glob(f"*/{CONFIG}"))]
    return [*found, *single, *_told_apart(root, [_single(each, f"{EVALUATIONS}/{each.name}") for each in named])]


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


def evaluations_of(run: Path) -> list[Path]:
    """Return the folders of what was evaluated of a run, its own first, then by age."""
    later = [path.parent for path in run.glob(f"{EVALUATIONS}/*/{ROWS}")]
    return [run, *sorted(later, key=lambda each: ((each / ROWS).stat().st_mtime_ns, each))]


def read_histories(folder: str | Path, runs: Iterable[str]) -> Iterator[tuple[str, list[dict[str, float]]]]:
    """Yield the epochs of each run that has finished its training."""
    for run in runs:
        path = Path(folder) / run / HISTORY
        if path.exists():
            yield run, json.loads(path.read_text())


def _frame(found: Sequence[tuple[Entry, list[dict[str, Any]], str | None]], root: Path) -> "polars.DataFrame":
    """Return a line per row of entries with their rows and why there are none."""
    import polars

    columns: dict[str, list[Any]] = {name: [] for name in OWN}
    labels: list[dict[str, Any]] = []
    for entry, own, problem in found:
        status = "done" if own else "missing" if problem is None else "failed"
        rows = own or [EMPTY]
        for name in EMPTY:
            columns[name] += [row[name] for row in rows]
        for name, value in (("seed", entry.seed), ("run", entry.run), ("status", status), ("problem", problem)):
            columns[name] += [value] * len(rows)
        labels += [entry.labels] * len(rows)
    # Where nothing is varied there is one combination all the same.
    axes = list(dict.fromkeys(name for each in labels for name in each)) or ["name"]
    if axes == ["name"] and not labels[0]:
        labels = [{"name": root.resolve().name}] * len(labels)
    varied = {column: _uniform([each.get(name) for each in labels]) for name, column in columns_of(axes).items()}
    kinds = {"seed": polars.Int64, "count": polars.Int64} | dict.fromkeys(("value", "low", "high"), polars.Float64)
    schema = {name: kinds.get(name, polars.String) for name in OWN}
    frame = polars.DataFrame(varied, strict=False).hstack(polars.DataFrame(columns, schema=schema))
    # A plan that names the same run under the same values twice would make each of its rows count twice.
    return frame.unique(maintain_order=True)


def _content(folder: Path) -> tuple[list[dict[str, Any]], list[_File], tuple[str, ...]]:
    """Return the rows of a run and of what was evaluated later, what each file declares, and what is to be noted.

    Of the same measure and condition the newest row counts.
    """
    own, *later = evaluations_of(folder)
    rows, files, notes = [], [], dict.fromkeys(_notes(own))
    try:
        rows, measures = read_values(own / ROWS)
        files.append(_File((own / ROWS).stat().st_mtime_ns, measures))
    except FileNotFoundError:
        return [], [], ()
    if not later:
        return rows, files, tuple(notes)
    data = _data_of(own / CONFIG)
    found = {(row["measure"], row["condition"]): row for row in rows}
    for place in later:
        other = _data_of(place / CONFIG)
        kind = DATA_CLASS.search(other)
        values, measures = read_values(place / ROWS)
        files.append(_File((place / ROWS).stat().st_mtime_ns, measures))
        notes |= dict.fromkeys(_notes(place))
        for row in values:
            condition = row["condition"]
            if other != data and kind is not None and not _says_the_data(condition):
                condition = f"{condition} on {kind.group(1)}"
            found[row["measure"], condition] = row | {"condition": condition}
    return list(found.values()), files, tuple(notes)


def _says_the_data(condition: str) -> bool:
    """Return whether a condition says how the samples were corrupted: then it does not matter who did it."""
    whole = condition.removesuffix(JPEG)
    return whole.endswith(MEAN) or parse_cell(condition) is not None or parse_corruption(condition) is not None


def _notes(folder: Path) -> list[str]:
    """Return the sentences that a reader of an evaluation must know."""
    try:
        found = json.loads((folder / NOTES).read_bytes())
    except FileNotFoundError:
        return []
    except ValueError:
        found = None
    if not isinstance(found, list) or not all(isinstance(each, str) for each in found):
        raise InputError(f"results: {folder / NOTES} is not a list of sentences; remove it and evaluate again.")
    return found


def _single(folder: Path, run: str) -> Entry:
    """Return a run that belongs to no sweep."""
    found = SEED.search((folder / CONFIG).read_bytes())
    return Entry(labels={"name": short_name(folder)}, seed=int(found.group(1)) if found else 0, run=run)


def _told_apart(root: Path, entries: list[Entry]) -> list[Entry]:
    """Return evaluations of models by name, with the data in the name of a model that was evaluated on several."""
    names = Counter((each.labels["name"], each.seed) for each in entries)
    found = []
    for each in entries:
        name = each.labels["name"]
        kind = DATA_CLASS.search(_data_of(root / each.run / CONFIG)) if names[name, each.seed] > 1 else None
        found.append(replace(each, labels={"name": f"{name} on {kind.group(1)}"}) if kind else each)
    again = Counter((each.labels["name"], each.seed) for each in found)
    return [
        each
        if again[each.labels["name"], each.seed] == 1
        else replace(each, labels={"name": f"{each.labels['name']} ({each.run.rpartition('-')[2]})"})
        for each in found
    ]


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
