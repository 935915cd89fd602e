"""Row: one number of results, with its interval."""

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

from withstand.errors import InputError, TrainingError
from withstand.files import write_whole
from withstand.study.measures.measure import Measure
from withstand.study.records import built, parse_json, read_text

THEN = "remove the file, and run the command that made it again; a run of an earlier version must be measured again"


@dataclass(frozen=True, kw_only=True)
class Row:
    """One measure under one condition.

    Attributes:
        measure: Name of the measure, such as `top1`.
        condition: Name of the condition, such as `clean` or `gaussian_noise/3`.
        value: A fraction for accuracies; infinite for a distance at which the model is never fooled.
        count: Number of samples.
        low: Lower end of the 95 % confidence interval; None without one.
        high: Upper end of it.
        budget: Effort spent, as declared by the measure of this condition; empty otherwise.
        doubt: Why the value is not trustworthy, in sentences; empty if nothing is known against it.

    Example:
        >>> Row(measure="top1", condition="clean", value=0.9, count=100).value
        0.9
    """

    measure: str
    condition: str
    value: float
    count: int
    low: float | None = None
    high: float | None = None
    budget: str = ""
    doubt: str = ""


class Rows(NamedTuple):
    """The content of a file of rows.

    Attributes:
        rows: One after the other.
        measures: What each measure is, by name.
    """

    rows: list[Row]
    measures: dict[str, Measure]


def write_rows(path: Path, rows: Iterable[Row], measures: Mapping[str, Measure]) -> None:
    """Write rows atomically: a JSON object a line, first one per measure, then one per row.

    Raises:
        TrainingError: If a value is not a number or a count is not positive.
    """
    rows = list(rows)
    used = dict.fromkeys(row.measure for row in rows)
    lines = [json.dumps({"measure": measures[name].plain()}) for name in used]
    for row in rows:
        if math.isnan(row.value) or row.count < 1:
            raise TrainingError(f"results: {row.measure} under {row.condition} is {row.value} of {row.count} samples.")
        lines.append(json.dumps(asdict(row)))
    write_whole(path, "".join(f"{line}\n" for line in lines).encode())


def read_rows(path: Path) -> Rows:
    """Read what `write_rows` wrote.

    Raises:
        InputError: If a line is neither a measure nor a row; the message names file and line.
    """
    values, measures = read_values(path)
    return Rows([Row(**each) for each in values], measures)


def read_values(path: Path) -> tuple[list[dict[str, Any]], dict[str, Measure]]:
    """Return the fields of every row of a file, and its measures; faster than rows.

    Raises:
        InputError: If a line is neither a measure nor a row; the message names file and line.
    """
    found: list[dict[str, Any]] = []
    measures: dict[str, Measure] = {}
    for number, line in enumerate(read_text(path, then=THEN).splitlines(), start=1):
        try:
            values = parse_json(line)
            if isinstance(values["measure"], dict) and values["measure"].keys() <= Measure.__dataclass_fields__.keys():
                measure = built(Measure, values["measure"])
                measures[measure.name] = measure
            else:
                found.append(_checked(values, measures))
        except (ValueError, TypeError, KeyError) as problem:
            raise InputError(f"results: line {number} of {path} is not a row; {THEN}.") from problem
    if not found:
        raise InputError(f"results: {path} has no rows; {THEN}.")
    return found, measures


def _checked(values: dict[str, Any], measures: Mapping[str, Measure]) -> dict[str, Any]:
    """Return the fields of a row; anything else raises one of several errors."""
    if values.keys() != Row.__dataclass_fields__.keys() or values["measure"] not in measures:
        raise ValueError("not the fields of a row")
    if not all(isinstance(values[name], str) for name in ("condition", "budget", "doubt")):
        raise ValueError("not texts")
    if type(values["count"]) is not int or values["count"] < 1:
        raise ValueError("not a positive number of samples")
    for name in ("value", "low", "high"):
        value = values[name]
        if value is None and name != "value":
            continue
        if not isinstance(value, int | float) or isinstance(value, bool) or math.isnan(value):
            raise ValueError("not a number")
    return values
