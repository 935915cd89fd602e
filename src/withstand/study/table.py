"""Rows side by side: conditions down, models across."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from withstand.study.condition import EXTRAS, JPEG
from withstand.study.corruption_error import CorruptionErrors, corruption_errors
from withstand.study.row import Row

ACCURACY = re.compile(r"(worst_)?top\d+")
NOISE_MEASURES = {
    "noise_distance": "median distance",
    "never_fooled": "never fooled, %",
    "top1_at_radius": "top-1 at radius, %",
}


@dataclass(frozen=True, kw_only=True)
class Table:
    """Text columns, ready to be shown.

    Attributes:
        title: One line.
        columns: Heads of the columns; the first `num_labels` are labels.
        lines: One tuple of texts per line; None draws a rule.
        num_labels: Number of label columns.
        notes: Sentences below the table.
    """

    title: str
    columns: tuple[str, ...]
    lines: tuple[tuple[str, ...] | None, ...]
    num_labels: int = 1
    notes: tuple[str, ...] = ()


def accuracy_table(
    results: Mapping[str, Sequence[Row]],
    *,
    title: str = "",
    measure: str | None = None,
    notes: tuple[str, ...] = (),
    each_severity: bool = False,
    reference: bool = False,
) -> Table:
    """Return accuracies in percent: severities across for one model, models across for several.

    Args:
        results: Rows per model.
        title: One line.
        measure: The measure to show; None shows the first (top-1) one.
        notes: Sentences below the table.
        each_severity: Whether several models have a line for every severity, or one for the mean over them.
        reference: Whether errors may be divided by AlexNet's: images of ImageNet at 224 pixels, all 1,000 classes.
    """
    measure = measure or next(row.measure for rows in results.values() for row in rows)
    values = {model: {row.condition: row for row in rows if row.measure == measure} for model, rows in results.items()}
    conditions = list(dict.fromkeys(name for rows in values.values() for name in rows))
    kinds = _kinds(conditions)
    plain = [name for name in conditions if name not in {each for cells in kinds.values() for each in cells}]
    count = sorted({row.count for rows in values.values() for row in rows.values()})
    title = title or f"{_words(measure)} in percent, n = {' or '.join(f'{each:,}' for each in count)}"
    reference = reference and measure == "top1"
    severities = {name.rsplit("/", 1)[1] for cells in kinds.values() for name in cells}
    if len(results) == 1 and kinds and all(len(cells) == len(severities) for cells in kinds.values()):
        rows = next(iter(values.values()))
        return _one_model(next(iter(results)), rows, plain, kinds, title, notes, reference=reference)
    lines: list[tuple[str, ...] | None] = [
        (name, "", *(_percent(values[model].get(name)) for model in results)) for name in plain
    ]
    lines += [None] if plain and kinds else []
    in_full = each_severity or any(len(cells) == 1 for cells in kinds.values()) or len(results) == 1
    for kind, cells in kinds.items():
        if not in_full:
            means = (_mean([values[model].get(each) for each in cells]) for model in results)
            lines.append((kind, "", *means))
            continue
        for name in cells:
            numbers = (_percent(values[model].get(name)) for model in results)
            lines.append((kind, name.rsplit("/", 1)[1], *numbers))
        lines.append(None)
    lines += [None] if kinds and not in_full else []
    for name, members in _means(list(kinds)):
        cells = [each for kind in members for each in kinds[kind]]
        means = (_mean([values[model].get(each) for each in cells]) for model in results)
        lines.append((name, "", *means))
    if reference:
        lines += _reference_lines([corruption_errors(rows, saved=JPEG) for rows in results.values()])
    columns, num_labels = ("condition", "severity", *results), 2
    if not any(line and line[1] for line in lines):
        columns, num_labels = ("condition", *results), 1
        lines = [line and (line[0], *line[2:]) for line in lines]
    return Table(title=title, columns=columns, lines=tuple(lines), num_labels=num_labels, notes=notes)


def accuracy_rows(results: Mapping[str, Sequence[Row]]) -> dict[str, list[Row]]:
    """Return the rows that a table of accuracies shows; nothing if there are none."""
    found = {model: [row for row in rows if ACCURACY.fullmatch(row.measure)] for model, rows in results.items()}
    return found if any(found.values()) else {}


def noise_rows(results: Mapping[str, Sequence[Row]]) -> dict[str, list[Row]]:
    """Return the rows that a table of noise distances shows; nothing if there are none."""
    found = {model: [row for row in rows if row.measure in NOISE_MEASURES] for model, rows in results.items()}
    return found if any(found.values()) else {}


def noise_table(results: Mapping[str, Sequence[Row]]) -> Table:
    """Return how far noise must go, models across.

    Example:
        >>> row = Row(measure="noise_distance", condition="gaussian noise", total=950.0, count=100)
        >>> noise_table({"model": [row]}).lines
        (('gaussian noise', 'median distance', '9.50'),)
    """
    values = {model: {(row.condition, row.measure): row for row in rows} for model, rows in results.items()}
    lines: list[tuple[str, ...] | None] = []
    for condition in dict.fromkeys(condition for rows in values.values() for condition, _ in rows):
        lines += [None] if lines else []
        for measure, words in NOISE_MEASURES.items():
            own = [values[model].get((condition, measure)) for model in results]
            fooled = [values[model].get((condition, "never_fooled")) for model in results]
            if measure == "noise_distance":
                cells = [_distance(row, never) for row, never in zip(own, fooled, strict=True)]
            else:
                cells = [_percent(row) for row in own]
            if any(cell != "-" for cell in cells):
                lines.append((condition, words, *cells))
    counts = sorted({row.count for rows in results.values() for row in rows})
    title = f"How far (l2) noise must go to make the model wrong, n = {' or '.join(f'{each:,}' for each in counts)}"
    return Table(title=title, columns=("noise", "", *results), lines=tuple(lines), num_labels=2)


def _distance(row: Row | None, never: Row | None) -> str:
    """Return a median, or that more than half of the samples were never fooled."""
    if row is None:
        return "-" if never is None else "never"
    return f"{row.value:.2f}" if row.value < 100 else f"{row.value:.1f}"


def _one_model(
    model: str,
    rows: dict[str, Row],
    plain: list[str],
    kinds: dict[str, list[str]],
    title: str,
    notes: tuple[str, ...],
    *,
    reference: bool,
) -> Table:
    """Return severities across, then mean accuracy, corruption error and, where there is a reference, CE."""
    severities = sorted({name.rsplit("/", 1)[1] for cells in kinds.values() for name in cells})
    errors = corruption_errors(rows.values(), saved=JPEG) if reference else CorruptionErrors(errors={})
    lines: list[tuple[str, ...] | None] = [
        (name, *[""] * len(severities), _percent(rows.get(name)), "", "") for name in plain
    ]
    lines += [None] if plain else []
    for kind, cells in kinds.items():
        own = [rows.get(each) for each in cells]
        ce = errors.ce_alexnet.get(kind.removesuffix(JPEG)) if kind.endswith(JPEG) else None
        lines.append((kind, *map(_percent, own), _mean(own), _mean(own, error=True), _as_percent(ce)))
    lines.append(None)
    for name, members in _means(list(kinds)):
        means = [_mean([rows.get(f"{kind}/{each}") for kind in members]) for each in severities]
        every = [rows.get(each) for kind in members for each in kinds[kind]]
        lines.append((name, *means, _mean(every), _mean(every, error=True), ""))
    for line in _reference_lines([errors]):
        lines.append(line and (line[0], *[""] * (len(severities) + 2), line[2]))
    columns = (model, *(f"s{each}" for each in severities), "mean", "error", "CE")
    if not errors.errors:
        columns, lines = columns[:-1], [line and line[:-1] for line in lines]
    return Table(title=title, columns=columns, lines=tuple(lines), notes=notes)


def _reference_lines(models: Sequence[CorruptionErrors]) -> list[tuple[str, ...] | None]:
    """Return lines of the means of errors over AlexNet's, for those that at least one model has."""
    wanted = {
        "mCE (AlexNet = 100)": [each.mce_alexnet for each in models],
        "mCE without noise": [each.mce_alexnet_without_noise for each in models],
        "relative mCE": [each.relative_mce_alexnet for each in models],
    }
    lines = [(name, "", *map(_as_percent, own)) for name, own in wanted.items() if any(one is not None for one in own)]
    return [None, *lines] if lines else []


def _kinds(conditions: Sequence[str]) -> dict[str, list[str]]:
    """Return the conditions that have a severity, by what stands before it."""
    kinds: dict[str, list[str]] = {}
    for name in conditions:
        if _severity(name):
            kinds.setdefault(name.rsplit("/", 1)[0], []).append(name)
    return kinds


def _means(kinds: list[str]) -> list[tuple[str, list[str]]]:
    """Return the means worth a line: of corruptions, with and without noise, of each way of saving; extras apart."""
    found = []
    ways = [saved for saved in ("", JPEG) if any(kind.endswith(JPEG) == bool(saved) for kind in kinds)]
    for saved in ways:
        own = [kind for kind in kinds if kind.endswith(JPEG) == bool(saved)]
        extras = [kind for kind in own if kind.removesuffix(JPEG) in EXTRAS]
        members = [kind for kind in own if kind not in extras]
        noise = [kind for kind in members if kind.removesuffix(JPEG).endswith("_noise")]
        rest = [kind for kind in members if kind not in noise]
        end = JPEG if len(ways) > 1 and saved else ""
        found += [(f"mean of extras{end}", extras)] if extras and members else []
        if noise and rest:
            found += [(f"mean of noise{end}", noise), (f"mean without noise{end}", rest)]
        found += [(f"mean of corruptions{end}", members or extras)]
    return found


def _severity(condition: str) -> str:
    last = condition.rsplit("/", 1)[-1]
    return last if "/" in condition and last in "12345" else ""


def _percent(row: Row | None) -> str:
    return "-" if row is None else f"{100 * row.value:.1f}"


def _as_percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.1f}"


def _mean(rows: Sequence[Row | None], *, error: bool = False) -> str:
    """Return the mean of the rows' values, or of the errors; a missing one leaves a hole rather than another mean."""
    present = [row for row in rows if row is not None]
    if not rows or len(present) < len(rows):
        return "-"
    mean = sum(row.value for row in present) / len(rows)
    return _as_percent(1 - mean if error else mean)


def _words(measure: str) -> str:
    return {"top1": "Top-1 accuracy", "top5": "Top-5 accuracy", "worst_top1": "Worst-case accuracy"}.get(
        measure, measure
    )
