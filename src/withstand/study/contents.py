"""Contents of the files of a run; damaged files are left out, with a sentence about each."""

import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from withstand.conditions import JPEG, MEAN, is_mean, parse_cell, parse_corruption
from withstand.errors import InputError
from withstand.study.measures.measure import Measure
from withstand.study.measures.row import read_values
from withstand.study.records import damaged, read_record, read_text

ROWS, CONFIG, HISTORY, NOTES = "rows.jsonl", "config.yaml", "history.json", "notes.json"
EVALUATIONS, OUTCOMES = "evaluations", "outcomes"  # folders
DATA = re.compile(r"^data:\n(?:[ -].*\n)*", re.MULTILINE)
DATA_CLASS = re.compile(r"class_path: [\w.]*?(\w+)\n")
OTHER_DATA = re.compile(r"^data:", re.MULTILINE)  # not a data set
VALUE = re.compile(r"^\w+:(\s|$)", re.MULTILINE)  # of a configuration
MOVE = "move its folder away, and run the command that made it again"
EVALUATE = "remove it and evaluate again"
Anything = TypeVar("Anything")


class RowsFile(NamedTuple):
    """Measures that a file of rows declares, and when it was written."""

    written: int
    measures: dict[str, Measure]


class Content(NamedTuple):
    """Contents of the files of a run.

    Attributes:
        rows: Fields of each row.
        files: The files that hold rows.
        notes: Sentences about how it was measured.
        damaged: Sentences about files that are left out.
    """

    rows: list[dict[str, Any]]
    files: list[RowsFile]
    notes: tuple[str, ...]
    damaged: tuple[str, ...]


def content_of(folder: Path) -> Content:
    """Return the rows of a run and of its later evaluations, what each file declares, and the notes.

    The newest row of a measure and condition counts. If the configuration or rows of the run are damaged, the whole run
    is left out; if those of a later evaluation are, only that evaluation.
    """
    own, *later = evaluations_of(folder)
    if not (own / ROWS).exists():
        return Content([], [], (), ())
    lost: dict[str, None] = {}
    files: list[RowsFile] = []
    try:
        data, rows = data_of(own / CONFIG, needed=bool(later)), _rows(own, files)
    except InputError as problem:
        return Content([], [], (), (str(problem),))
    notes = dict.fromkeys(spared(lambda: read_notes(own), (), lost))
    found = {(row["measure"], row["condition"]): row for row in rows}
    for place in later:
        try:
            other, values = data_of(place / CONFIG, needed=True), _rows(place, files)
        except InputError as problem:
            lost[str(problem)] = None
            continue
        kind = DATA_CLASS.search(other)
        notes |= dict.fromkeys(spared(lambda place=place: read_notes(place), (), lost))
        for row in values:
            condition = row["condition"]
            if other != data and kind is not None and not _says_the_data(condition):
                condition = f"{condition} on {kind.group(1)}"
            found[row["measure"], condition] = row | {"condition": condition}
    return Content(list(found.values()), files, tuple(notes), tuple(lost))


def _rows(folder: Path, files: list[RowsFile]) -> list[dict[str, Any]]:
    """Return the fields of the rows in a folder, and append what their file declares to `files`."""
    rows, measures = read_values(folder / ROWS)
    files.append(RowsFile((folder / ROWS).stat().st_mtime_ns, measures))
    return rows


def spared(read: Callable[[], Anything], otherwise: Anything, lost: dict[str, None]) -> Anything:
    """Return what a function reads; if its file is damaged, add the error to `lost` and return `otherwise`."""
    try:
        return read()
    except InputError as problem:
        lost[str(problem)] = None
        return otherwise


def _says_the_data(condition: str) -> bool:
    """Return whether a condition names the corruption of the samples, and so needs no name of the data."""
    whole = condition.removesuffix(JPEG)
    is_cell = parse_cell(condition) is not None or parse_corruption(condition) is not None
    return is_cell or whole.endswith(MEAN) or is_mean(whole)


def read_notes(folder: Path) -> tuple[str, ...]:
    """Return the notes on an evaluation.

    Raises:
        InputError: If their file is damaged.
    """
    path = folder / NOTES
    return read_record(path, tuple[str, ...], then=EVALUATE) if path.exists() else ()


def evaluations_of(run: Path) -> list[Path]:
    """Return the folders of a run's evaluations: the run itself, then later ones from old to new."""
    later = [path.parent for path in run.glob(f"{EVALUATIONS}/*/{ROWS}")]
    return [run, *sorted(later, key=lambda each: ((each / ROWS).stat().st_mtime_ns, each))]


def read_histories(folder: str | Path, runs: Iterable[str]) -> Iterator[tuple[str, list[dict[str, float]]]]:
    """Yield the epochs of each run that has finished training.

    Raises:
        InputError: If a file is damaged.
    """
    for run in runs:
        path = Path(folder) / run / HISTORY
        if path.exists():
            then = "remove it: only the figure of the training needs it"
            yield run, list(read_record(path, tuple[dict[str, float], ...], then=then))


def data_of(path: Path, *, needed: bool = False) -> str:
    """Return the part of a configuration that names the data; empty if there is no file.

    Raises:
        InputError: If the file is damaged, or lacks a data set that is needed.
    """
    if not path.exists():
        return ""
    text = read_text(path, then=MOVE)
    found = DATA.search(text)
    if not VALUE.search(text) or (needed and not found and OTHER_DATA.search(text)):
        raise damaged(path, "it is no configuration with a data set", MOVE)
    return found.group() if found else ""
