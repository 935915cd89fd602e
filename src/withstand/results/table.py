"""Rows side by side: conditions down, models across."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from withstand.results.row import Row


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
) -> Table:
    """Return accuracies in percent: severities across for one model, models across for several.

    Args:
        results: Rows per model.
        title: One line.
        measure: The measure to show; None shows the first (top-1) one.
        notes: Sentences below the table.
    """
    measure = measure or next(row.measure for rows in results.values() for row in rows)
    values = {model: {row.condition: row for row in rows if row.measure == measure} for model, rows in results.items()}
    conditions = list(dict.fromkeys(name for rows in values.values() for name in rows))
    graded = [name for name in conditions if _severity(name)]
    plain = [name for name in conditions if not _severity(name)]
    kinds = list(dict.fromkeys(name.rsplit("/", 1)[0] for name in graded))
    count = sorted({row.count for rows in values.values() for row in rows.values()})
    title = title or f"{_words(measure)} in percent, n = {' or '.join(f'{each:,}' for each in count)}"
    severities = {_severity(name) for name in graded}
    if len(results) == 1 and len(graded) == len(kinds) * len(severities) > 0:
        return _one_model(next(iter(results)), next(iter(values.values())), plain, kinds, title, notes)
    lines: list[tuple[str, ...] | None] = [
        (name, "", *(_percent(values[model].get(name)) for model in results)) for name in plain
    ]
    for kind in kinds:
        lines.append(None)
        for name in [each for each in graded if each.rsplit("/", 1)[0] == kind]:
            cells = (_percent(values[model].get(name)) for model in results)
            lines.append((kind, name.rsplit("/", 1)[1], *cells))
    lines += [None] if graded else []
    for name, members in _means(kinds):
        cells = [each for each in graded if each.rsplit("/", 1)[0] in members]
        means = (_mean([values[model].get(each) for each in cells]) for model in results)
        lines.append((name, "", *means))
    columns, num_labels = ("condition", "severity", *results), 2
    if not graded:
        columns, num_labels = ("condition", *results), 1
        lines = [line and (line[0], *line[2:]) for line in lines]
    return Table(title=title, columns=columns, lines=tuple(lines), num_labels=num_labels, notes=notes)


def _one_model(
    model: str, rows: dict[str, Row], plain: list[str], kinds: list[str], title: str, notes: tuple[str, ...]
) -> Table:
    severities = sorted({_severity(name) for name in rows if _severity(name)})
    lines: list[tuple[str, ...] | None] = [(name, *[""] * len(severities), _percent(rows.get(name))) for name in plain]
    lines += [None] if plain else []
    for kind in kinds:
        own = [rows.get(f"{kind}/{each}") for each in severities]
        lines.append((kind, *(_percent(row) for row in own), _mean(own)))
    lines.append(None)
    for name, members in _means(kinds):
        means = [_mean([rows.get(f"{kind}/{each}") for kind in members]) for each in severities]
        every = _mean([rows.get(f"{kind}/{each}") for kind in members for each in severities])
        lines.append((name, *means, every))
    columns = (model, *(f"s{each}" for each in severities), "mean")
    return Table(title=title, columns=columns, lines=tuple(lines), notes=notes)


def _means(kinds: list[str]) -> list[tuple[str, list[str]]]:
    """Return the means worth a line: of all corruptions, and, where there are both kinds, with and without noise."""
    noise = [kind for kind in kinds if kind.endswith("_noise")]
    rest = [kind for kind in kinds if kind not in noise]
    parts = [("mean of noise", noise), ("mean without noise", rest)] if noise and rest else []
    return [*parts, ("mean of corruptions", kinds)] if kinds else []


def _severity(condition: str) -> str:
    last = condition.rsplit("/", 1)[-1]
    return last if "/" in condition and last in "12345" else ""


def _percent(row: Row | None) -> str:
    return "-" if row is None else f"{100 * row.value:.1f}"


def _mean(rows: Sequence[Row | None]) -> str:
    """Return the mean of the rows' values; a missing one leaves a hole rather than another mean."""
    present = [row for row in rows if row is not None]
    return f"{100 * sum(row.value for row in present) / len(rows):.1f}" if len(present) == len(rows) > 0 else "-"


def _words(measure: str) -> str:
    return {"top1": "Top-1 accuracy", "top5": "Top-5 accuracy", "worst_top1": "Worst-case accuracy"}.get(
        measure, measure
    )
