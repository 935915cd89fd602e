"""Files of a table of outcomes: their schemas, and reading them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from withstand.errors import InputError
from withstand.study.measures.measure import Measure
from withstand.study.measures.note import Note
from withstand.study.records import damaged, read_record, unreadable

if TYPE_CHECKING:
    import polars

FORMAT = 3
# Kinds of columns, where a table has them.
KINDS = MappingProxyType({"number": "whole", "prediction": "whole", "confidence": "number", "correct": "number"})
SAMPLE_KINDS = MappingProxyType({"source": "text", "number": "whole", "label": "whole", "identifier": "text"})
ABOUT, SAMPLES = "outcomes.json", "samples.parquet"


class Format(NamedTuple):
    """The format of the file; what else it holds depends on that."""

    format: int


class ConditionEntry(NamedTuple):
    """A condition in the file."""

    condition: str
    file: str
    source: str
    evaluation: dict[str, Any]
    measures: tuple[Measure, ...]
    numbers: dict[str, float]
    notes: tuple[Note, ...]


@dataclass(frozen=True, kw_only=True)
class About:
    """The content of the file."""

    data: str
    seed: int
    classes: tuple[str, ...]
    shape: tuple[int, ...]
    conditions: tuple[ConditionEntry, ...]

    def __post_init__(self) -> None:
        """Refuse the name of a file that leads out of the folder."""
        for each in self.conditions:
            if PurePath(each.file).name != each.file:
                raise InputError(f"{each.file} is not the name of a file in this folder.")


def read_about(folder: Path) -> About:
    """Return the content of the list of conditions in a folder.

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
        kinds: `text`, `whole` or `number`, by name of a column.
        needed: Columns that must be there.
        then: What to do if it is damaged, for the message; None evaluates again.

    Raises:
        InputError: If it is missing or damaged, or a column is missing or has values of another kind.
    """
    import polars

    then = then or measure_again(path.parent)
    try:
        frame = polars.read_parquet(path.read_bytes())
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


def measure_again(folder: Path) -> str:
    """Return what to do if a file in a folder of outcomes is damaged."""
    return f"remove {folder} and the rows.jsonl beside it, and run the command that made them again"
