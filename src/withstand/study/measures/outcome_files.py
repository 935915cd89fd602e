"""Files of a table of outcomes: schemas and readers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from withstand.errors import InputError
from withstand.reading.places import read_bytes
from withstand.study.measures.measure import Measure
from withstand.study.measures.note import Note
from withstand.study.records import damaged, read_record, unreadable

if TYPE_CHECKING:
    import polars

FORMAT = 3
MOST_BYTES = 1 << 30  # of a Parquet file, and of all its texts together
MOST_CELLS = 1 << 27  # of a Parquet file
# Kinds of columns, where a table has them.
KINDS = MappingProxyType({"number": "whole", "prediction": "whole", "confidence": "number", "correct": "number"})
SAMPLE_KINDS = MappingProxyType({"source": "text", "number": "whole", "label": "whole", "identifier": "text"})
ABOUT, SAMPLES = "outcomes.json", "samples.parquet"


class Format(NamedTuple):
    """The format of `outcomes.json`, which determines its other fields."""

    format: int


class ConditionEntry(NamedTuple):
    """A condition in `outcomes.json`."""

    condition: str
    file: str
    source: str
    evaluation: dict[str, Any]
    measures: tuple[Measure, ...]
    numbers: dict[str, float]
    notes: tuple[Note, ...]


@dataclass(frozen=True, kw_only=True)
class About:
    """The content of `outcomes.json`."""

    data: str
    seed: int
    classes: tuple[str, ...]
    shape: tuple[int, ...]
    conditions: tuple[ConditionEntry, ...]

    def __post_init__(self) -> None:
        """Reject a file outside of the folder."""
        for each in self.conditions:
            if PurePath(each.file).name != each.file:
                raise InputError(f"{each.file} is not the name of a file in this folder.")


def read_about(folder: Path) -> About:
    """Return the content of `outcomes.json` in a folder.

    Raises:
        InputError: If it is missing or damaged, or has a different format.
    """
    path, then = folder / ABOUT, measure_again(folder)
    known = read_record(path, Format, then=then).format
    if known != FORMAT:
        raise damaged(path, f"expected format {FORMAT}, got {known}", then)
    return read_record(path, About, then=then)


def read_parquet(
    path: Path, kinds: Mapping[str, str] = MappingProxyType({}), *, needed: Sequence[str] = (), then: str | None = None
) -> "polars.DataFrame":
    """Return the content of a Parquet file.

    Args:
        path: The file.
        kinds: `text`, `whole` or `number`, by column.
        needed: Required columns.
        then: What to do if it is damaged, for the message; None evaluates again.

    Raises:
        InputError: If it is missing or damaged, or a column is missing or has values of another kind.
    """
    import polars

    then = then or measure_again(path.parent)
    try:
        path.lstat()  # a missing file raises another error
        content = read_bytes(path, most=MOST_BYTES)
        _check_head(path, content, then)
        frame = polars.read_parquet(content)
    except OSError as problem:
        raise unreadable(path, problem, then) from problem
    except (polars.exceptions.PolarsError, polars.exceptions.PanicException) as problem:
        raise damaged(path, "it is no Parquet file", then) from problem
    missing = [each for each in needed if each not in frame.columns]
    if missing:
        raise damaged(path, f"it has no column {missing[0]}", then)
    for name, kind in frame.schema.items():
        is_text, is_whole = kind in (polars.String, polars.Null), kind.is_integer() or kind == polars.Null
        is_number = kind.is_numeric() or kind in (polars.Boolean, polars.Null)
        if not {"text": is_text, "whole": is_whole, "number": is_number, "": True}[kinds.get(name, "")]:
            raise damaged(path, f"the column {name} holds values of type {kind}", then)
    return frame


def _check_head(path: Path, content: bytes, then: str) -> None:
    """Reject a Parquet file by its head: a few bytes may stand for any number of equal cells."""
    import polars

    head = polars.scan_parquet(content)
    schema = head.collect_schema()
    if nested := [name for name, kind in schema.items() if kind.is_nested()]:
        raise damaged(path, f"the column {nested[0]} holds values of type {schema[nested[0]]}", then)
    cells = head.select(polars.len()).collect().item() * len(schema)
    if cells > MOST_CELLS:
        raise damaged(path, f"it has {cells:,} cells", then)
    long = [name for name, kind in schema.items() if kind in (polars.String, polars.Binary)]
    sizes = [polars.col(name).cast(polars.Binary).bin.size().cast(polars.UInt64).sum() for name in long]
    if sizes and sum(head.select(sizes).collect().row(0)) > MOST_BYTES:
        raise damaged(path, "its texts are too long", then)


def measure_again(folder: Path) -> str:
    """Return what to do if a file in a folder of outcomes is damaged."""
    return f"remove {folder} and the rows.jsonl beside it, and run the command that made them again"
