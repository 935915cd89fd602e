"""Differences between the models of some results, on the same samples."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, NamedTuple

from withstand.conditions import JPEG, Saved, in_order, is_mean, parse_cell
from withstand.errors import InputError, brief
from withstand.rendering.cell import DOUBT, DOUBT_NOTE
from withstand.rendering.grid import Grid
from withstand.study.measures.comparison import Comparison, compare
from withstand.study.measures.measure import ACCURACY, Measure
from withstand.study.measures.outcomes import OutcomeTable
from withstand.study.measures.row import Row
from withstand.study.measures.suites import Suite, mean_condition
from withstand.study.tables.accuracy import called, saved_ways
from withstand.study.tables.cell_text import NOTHING

if TYPE_CHECKING:
    import polars


class Pair(NamedTuple):
    """A measure under a condition, of two models.

    Attributes:
        model: Name of the model that is compared with the first.
        measure: What is compared.
        condition: Under which it was measured.
        found: The comparison, or the reason why there is none.
        doubt: Why one of the two values is not trustworthy, if so.
    """

    model: str
    measure: Measure
    condition: str
    found: Comparison | InputError
    doubt: str = ""


def compare_tables(outcomes: Mapping[str, OutcomeTable], *, baseline: str | None = None) -> "polars.DataFrame":
    """Return how every other model differs from a baseline, a line per model, measure and condition.

    Raises:
        InputError: If there is no such model, or the samples are not the same.
    """
    import polars

    first = next(iter(outcomes)) if baseline is None else baseline
    if first not in outcomes:
        raise InputError(f"Results: baseline must be one of {', '.join(outcomes)}, got {brief(first)}.")
    lines = []
    for pair in _pairs(outcomes, first, cells=True):
        if isinstance(pair.found, InputError):
            raise pair.found
        about = {"model": pair.model, "baseline": first, "measure": pair.measure.name, "condition": pair.condition}
        lines.append(about | asdict(pair.found) | {"doubt": pair.doubt})
    columns = {
        polars.String: ("model", "baseline", "measure", "condition"),
        polars.Float64: ("difference", "low", "high", "p"),
        polars.Int64: ("only_model", "only_baseline", "count"),
    }
    schema = [(name, kind) for kind, names in columns.items() for name in names]
    return polars.DataFrame(lines, schema=[*schema, ("doubt", polars.String)])


def differences_table(outcomes: Mapping[str, OutcomeTable], *, notes: tuple[str, ...] = ()) -> Grid | None:
    """Return the differences to the first model, without single cells of corruptions.

    Returns:
        None if nothing can be compared; a note names single conditions that cannot.
    """
    first = next(iter(outcomes))
    every = _pairs(outcomes, first, cells=False)
    pairs = [each for each in every if isinstance(each.found, Comparison)]
    if not pairs:
        return None
    ways = saved_ways(own.condition for table in outcomes.values() for own in table.conditions)
    lost: dict[str, dict[str, None]] = {}
    for each in every:
        if isinstance(each.found, InputError):
            lost.setdefault(each.model, {})[_label(each, ways)] = None
    missing = [f"{model} ({'; '.join(names)})" for model, names in lost.items()]
    apart = [f"Not compared, since samples or outcomes do not fit: {', '.join(missing)}."] if missing else []
    lines: list[tuple[str, ...] | None] = []
    order = in_order(pair.condition for pair in pairs)
    pairs.sort(key=lambda pair: order.index(pair.condition))
    for key in dict.fromkeys((pair.condition, pair.measure.words) for pair in pairs):
        own = [pair for pair in pairs if (pair.condition, pair.measure.words) == key]
        lines += [None] if lines and len(outcomes) > 2 else []
        for pair in own:
            each = pair.found
            assert isinstance(each, Comparison)
            interval = f"{100 * each.low:+.1f} to {100 * each.high:+.1f}"
            p = NOTHING if each.p is None else "< 0.001" if each.p < 0.001 else f"{each.p:.3f}"
            points = f"{100 * each.difference:+.1f}"
            shown = (points + DOUBT, NOTHING, NOTHING) if pair.doubt else (points, interval, p)
            lines.append((_label(pair, ways), pair.model, *shown))
    doubts = [DOUBT_NOTE] if any(pair.doubt for pair in pairs) else []
    return Grid(
        title=f"Differences to {first} on the same samples, in percentage points",
        columns=("condition", "model", "points", "95 % interval", "p"),
        lines=tuple(lines),
        num_labels=2,
        notes=("Intervals: bootstrap of the samples. p: exact McNemar test.", *doubts, *apart, *notes),
    )


def _label(pair: Pair, ways: set[Saved]) -> str:
    if is_mean(pair.condition):
        return called(pair.condition, ways)
    if pair.measure.topic == ACCURACY:
        return pair.condition
    ball, separator, _ = pair.condition.partition(", ")
    return f"{ball if separator and pair.measure.kind else pair.condition}, {pair.measure.words}"


def _pairs(outcomes: Mapping[str, OutcomeTable], first: str, *, cells: bool) -> list[Pair]:
    """Return the comparisons of every other model with the first, under the conditions that both have."""
    base = outcomes[first]
    found = []
    asked = _asked(base)
    if not cells:
        asked = [each for each in _firsts(asked) if parse_cell(each[0]) is None]
    for condition, measure in asked:
        for model, table in outcomes.items():
            if model != first and (condition, measure.column) in _columns(table):
                own = _compared(table.frame(condition), base.frame(condition), measure.column)
                doubt = table.of(condition).doubt(measure) or base.of(condition).doubt(measure)
                found.append(Pair(model, measure, condition, own, doubt))
    for measure in dict.fromkeys(each.name for _, each in (_asked(base) if cells else _firsts(_asked(base)))):
        found += _mean_pairs(outcomes, first, measure)
    return found


def _compared(own: "polars.DataFrame", base: "polars.DataFrame", column: str) -> Comparison | InputError:
    try:
        return compare(own, base, column=column)
    except InputError as problem:
        return problem


def _mean_pairs(outcomes: Mapping[str, OutcomeTable], first: str, name: str) -> list[Pair]:
    """Return the comparisons of a measure's mean over all cells of corruptions."""
    base = outcomes[first]
    measure = next(each for _, each in _asked(base) if each.name == name)
    found = []
    for saved in ("", JPEG):
        cells, called = {}, ""
        for model, table in outcomes.items():
            there = dict.fromkeys(condition for condition, each in _asked(table) if each.name == name)
            suite = Suite([_counted(table, each, measure) for each in there], measure, table, saved=saved)
            cells[model] = [cell for kind in suite.members for cell in suite.kinds[kind]]
            called = mean_condition(suite) if model == first else called
        for model, table in outcomes.items():
            if model == first or not cells[first] or set(cells[model]) != set(cells[first]):
                continue
            own, theirs = (_means(each, cells[first], measure.column) for each in (table, base))
            found.append(Pair(model, measure, called, _compared(own, theirs, measure.column)))
    return found


def _counted(table: OutcomeTable, condition: str, measure: Measure) -> Row:
    """Return a row that says under how many samples a condition was measured, and nothing else."""
    values = table.of(condition).frame[measure.column]
    return Row(measure=measure.name, condition=condition, value=0.0, count=len(values) - values.null_count())


def _means(table: OutcomeTable, cells: list[str], column: str) -> "polars.DataFrame":
    """Return the mean of a column over some conditions, sample by sample; only of samples that all of them have."""
    import numpy as np
    import polars

    total, times, first = table.empty(), table.empty(), table.frame(cells[0])
    for cell in cells:
        own = table.of(cell)
        places = table.places(own)
        total[places] += own.frame[column].cast(polars.Float64).to_numpy()
        times[places] += 1
    places = table.places(table.of(cells[0]))
    kept = times[places] == len(cells)
    means = np.divide(total[places], len(cells))
    return first.select("number", "identifier", "label").with_columns(polars.Series(column, means)).filter(kept)


def _asked(table: OutcomeTable) -> list[tuple[str, Measure]]:
    """Return the conditions and measures under which models are compared: primary shares of which more is better."""
    found = {}
    for own in table.conditions:
        for each in own.measures:
            compared = each.primary and each.percent and each.reduction == "mean" and each.better == "higher"
            if compared and each.column in own.frame.columns:
                found.setdefault((own.condition, each.name), each)
    return [(condition, each) for (condition, _), each in found.items()]


def _firsts(asked: list[tuple[str, Measure]]) -> list[tuple[str, Measure]]:
    """Return one measure per condition: whether the answer is correct, else the first."""
    found: dict[str, Measure] = {}
    for condition, measure in sorted(asked, key=lambda each: each[1].column != "correct"):
        found.setdefault(condition, measure)
    return [(condition, found[condition]) for condition in dict.fromkeys(condition for condition, _ in asked)]


def _columns(table: OutcomeTable) -> set[tuple[str, str]]:
    return {(own.condition, column) for own in table.conditions for column in own.frame.columns}
