"""Read finished runs, and name those that are not: one frame for everything that lies under a folder."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from withstand.errors import InputError, brief
from withstand.limits import checked
from withstand.study.axes import OWN, columns_of
from withstand.study.contents import CONFIG, DATA_CLASS, EVALUATIONS, ROWS, RowsFile, content_of, data_of, spared
from withstand.study.measures.measure import Measure, joined
from withstand.study.measures.row import Row
from withstand.study.records import SURROGATE, read_text
from withstand.study.sweep import PLAN, Entry, read_entries, read_failure, short_name

if TYPE_CHECKING:
    import polars

NEEDED = ("seed", "measure", "condition", "value", "count", "low", "high", "doubt")  # to aggregate
SEED = re.compile(r"^seed: (\d{1,18})\s*$", re.MULTILINE)
EMPTY = {"measure": None, "condition": None, "value": None, "count": None, "low": None, "high": None, "doubt": None}


@dataclass(frozen=True, kw_only=True)
class Gathered:
    """The contents of the files of some runs.

    Attributes:
        frame: A line per run and row, as `read` returns it.
        measures: Measures by name, in the order of declaration.
        notes: Notes about how a run was measured, by run; runs without notes are left out.
        conflicts: Names of measures that files declare differently; the newest file is used.
        damaged: Sentences about files that cannot be read and are left out; runs without rows name theirs as their
            problem.
    """

    frame: "polars.DataFrame"
    measures: dict[str, Measure]
    notes: dict[str, tuple[str, ...]] = field(default_factory=dict)
    conflicts: tuple[str, ...] = ()
    damaged: tuple[str, ...] = ()


class _Found(NamedTuple):
    """A run, the fields of its rows, its status, and why it has no rows."""

    entry: Entry
    rows: "list[dict[str, Any]]"
    status: str
    problem: str | None


@checked
def read(folder: str | Path) -> "polars.DataFrame":
    """Return every row of every run under a folder, with what was varied.

    Args:
        folder: Folder of a sweep, of several sweeps or runs, of a run, or of evaluations of models by name.

    Returns:
        A line per row, with a column per axis, then `seed`, `run` (its folder, within the given one), `status` (`done`,
        `failed`, `damaged` or `missing`), `problem` (why it failed, or which file is damaged), `measure`, `condition`,
        `value`, `count`, `low` and `high` (the 95 % interval over the test samples, where the row has one), and `doubt`
        (why the value is not trustworthy; empty if nothing is known against it). An axis with the name of one of these,
        or as a column of what `aggregate` and `paired` return, has a `_` behind its name: `std_`. A run that a sweep
        planned and that has no rows has one line without measure, so that no run is missing unseen.
        Runs that belong to no sweep, and models that were evaluated by name, have the axis `name`. What `withstand
        evaluate` measured of a run later is among its rows; other data than those it was trained on are named in the
        condition (`clean on Cifar10C`), unless the condition is a cell of corruptions (`fog/3`).

    Raises:
        InputError: If there is no run, or none can be read.
    """
    return gather(folder).frame


def gather(folder: str | Path) -> Gathered:
    """Return every row of every run under a folder, and what its files say about them.

    Raises:
        InputError: If there is no run, or none can be read.
    """
    root, lost = Path(folder), dict[str, None]()
    entries = entries_under(root, lost)
    if not entries:
        missing = f"results: expected a folder with runs, found none in {root}{deeper_runs(root)}"
        raise InputError(next(iter(lost), missing))
    files: list[RowsFile] = []
    notes: dict[str, tuple[str, ...]] = {}
    found: list[_Found] = []
    for entry in entries:
        own = content_of(root / entry.run)
        is_damaged = not own.rows and bool(own.damaged)
        status = "done" if own.rows else "damaged" if is_damaged else "missing"
        problem = own.damaged[0] if is_damaged else None if own.rows else read_failure(root / entry.run)
        found.append(_Found(entry, own.rows, "failed" if problem and not is_damaged else status, problem))
        files += own.files
        notes |= {entry.run: own.notes} if own.notes else {}
        lost |= dict.fromkeys(own.damaged if own.rows else own.damaged[1:])
    if not any(each.rows for each in found) and (wrong := [each for each in found if each.status == "damaged"]):
        raise InputError(wrong[0].problem or "")
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
    frame = _frame(found, root)
    return Gathered(frame=frame, measures=measures, notes=notes, conflicts=tuple(conflicts), damaged=tuple(lost))


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
    found = [
        _Found(entry, [asdict(row) for row in rows[entry.run]], "done" if rows[entry.run] else "missing", None)
        for entry in entries
    ]
    return Gathered(
        frame=_frame(found, Path("evaluation")),
        measures=dict(measures),
        notes=dict.fromkeys(rows, tuple(notes)) if notes else {},
    )


def checked_axes(who: str, frame: Any) -> list[str]:
    """Return the names of what was varied in a frame as `read` returns it.

    Raises:
        InputError: If it is no data frame of polars, or a column is missing.
    """
    import polars

    if not isinstance(frame, polars.DataFrame):
        raise InputError(f"{who}: frame must be a data frame of polars, as read returns it, got {brief(frame)}.")
    missing = [name for name in NEEDED if name not in frame.columns]
    if missing:
        raise InputError(f"{who}: frame must have the columns of read, got one without {', '.join(missing)}.")
    return axes_of(frame)


def axes_of(frame: "polars.DataFrame") -> list[str]:
    """Return the names of what was varied."""
    return [name for name in frame.columns if name not in OWN]


def entries_under(root: Path, lost: dict[str, None]) -> list[Entry]:
    """Return the runs under a folder, planned and found, and models evaluated by name; `run` is a path within it.

    Args:
        root: The folder.
        lost: Receives sentences about plans that are damaged, where there are several.

    Raises:
        InputError: If there is no such folder, or its own plan is damaged.
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
        if not each.name.isascii() and SURROGATE.search(each.name):
            is_run = (each / PLAN).exists() or (each / CONFIG).exists()
            sentence = str(InputError(f"{each} is left out, since its name is not UTF-8; rename it."))
            lost |= {sentence: None} if is_run else {}
        elif (each / PLAN).exists():
            planned = spared(lambda each=each: read_entries(each), (), lost)
            found += [Entry(labels=own.labels, seed=own.seed, run=f"{each.name}/{own.run}") for own in planned]
        elif (each / CONFIG).exists():
            single.append(_single(each, each.name))
    if root.name == EVALUATIONS:
        return found + _told_apart(root, single)
    named = [path.parent for path in sorted((root / EVALUATIONS).glob(f"*/{CONFIG}"))]
    return [*found, *single, *_told_apart(root, [_single(each, f"{EVALUATIONS}/{each.name}") for each in named])]


def runs_under(root: Path, lost: dict[str, None]) -> list[Path]:
    """Return the folders of the runs under a folder, planned and found; empty if there is no such folder.

    Args:
        root: The folder.
        lost: Receives sentences about plans that are damaged, where there are several.
    """
    entries = entries_under(root, lost) if root.is_dir() else []
    return [root / each.run for each in entries if f"{EVALUATIONS}/" not in f"{root.name}/{each.run}"]


def deeper_runs(root: Path) -> str:
    """Return the end of a message that found no runs in a folder: the folders in it that hold some, or nothing."""
    if not root.is_dir() or entries_under(root, {}):
        return ""
    found = [str(each) for each in sorted(root.iterdir()) if each.is_dir() and entries_under(each, {})]
    return f"; there are runs in {', '.join(found[:3])}." if found else ""


def unplanned_under(root: Path) -> list[str]:
    """Return the runs in the folder of a sweep that are not in its plan, and so are not read."""
    sweeps = [root] if (root / PLAN).exists() else [path.parent for path in sorted(root.glob(f"*/{PLAN}"))]
    found: list[Path] = []
    for sweep in sweeps if not (root / CONFIG).exists() else []:
        try:
            planned = {each.run for each in read_entries(sweep)}
        except InputError:  # of which the rows say that it is damaged
            continue
        runs = {path.parent for name in (CONFIG, ROWS) for path in sweep.glob(f"*/{name}")}
        found += sorted(each for each in runs if each.name not in planned)
    return [each.relative_to(root).as_posix() for each in found]


def _frame(found: Sequence[_Found], root: Path) -> "polars.DataFrame":
    """Return a line per row of entries with their rows and why there are none."""
    import polars

    columns: dict[str, list[Any]] = {name: [] for name in OWN}
    labels: list[dict[str, Any]] = []
    for entry, own, status, problem in found:
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


def _single(folder: Path, run: str) -> Entry:
    """Return a run that belongs to no sweep."""
    try:
        found = SEED.search(read_text(folder / CONFIG))
    except InputError:  # of which the rows say that it is damaged
        found = None
    name = short_name(folder).encode(errors="backslashreplace").decode()
    return Entry(labels={"name": name}, seed=int(found.group(1)) if found else 0, run=run)


def _told_apart(root: Path, entries: list[Entry]) -> list[Entry]:
    """Return evaluations of models by name, with the data in the name of a model that was evaluated on several."""
    names = Counter((each.labels["name"], each.seed) for each in entries)
    found = []
    for each in entries:
        name = each.labels["name"]
        is_again = names[name, each.seed] > 1
        kind = (
            DATA_CLASS.search(spared(lambda each=each: data_of(root / each.run / CONFIG), "", {})) if is_again else None
        )
        found.append(replace(each, labels={"name": f"{name} on {kind.group(1)}"}) if kind else each)
    again = Counter((each.labels["name"], each.seed) for each in found)
    return [
        each
        if again[each.labels["name"], each.seed] == 1
        else replace(each, labels={"name": f"{each.labels['name']} ({each.run.rpartition('-')[2]})"})
        for each in found
    ]


def _uniform(values: list[Any]) -> list[Any]:
    """Return values of one kind, besides None: numbers if all are, else texts."""
    if all(isinstance(each, int | float | None) and not isinstance(each, bool) for each in values):
        whole = not any(isinstance(each, float) for each in values)
        return values if whole else [each if each is None else float(each) for each in values]
    return [each if each is None else f"{each:g}" if isinstance(each, float) else str(each) for each in values]
