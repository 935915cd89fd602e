"""Accuracies over balls, and class by class: models across."""

from collections.abc import Mapping, Sequence

from withstand.study.row import Row
from withstand.study.table import Table

BALL_MEASURES = {
    "worst_case_top1": "worst case",
    "adversarial_top1": "adversarial",
    "mean_top1": "mean over the ball",
}
KINDS = {"worst_case_top1": "an upper bound", "adversarial_top1": "an upper bound", "mean_top1": "an estimate"}
CHANGES = "with changes"


def ball_rows(results: Mapping[str, Sequence[Row]]) -> dict[str, list[Row]]:
    """Return the rows that a table of accuracies over balls shows; nothing if there are none."""
    found = {model: [row for row in rows if row.measure in BALL_MEASURES] for model, rows in results.items()}
    return found if any(found.values()) else {}


def ball_table(results: Mapping[str, Sequence[Row]]) -> Table:
    """Return the worst-case, adversarial and mean accuracies over balls, models across; budgets below.

    A measure that was taken with several budgets has a line for each.

    Example:
        >>> row = Row(measure="mean_top1", condition="linf 0.1, mean of 256", total=90.0, count=100)
        >>> ball_table({"model": [row]}).lines
        (('linf 0.1', 'mean over the ball', '90.0'),)
    """
    values = {model: {(*_apart(row.condition), row.measure): row for row in rows} for model, rows in results.items()}
    keys = list(dict.fromkeys(key for rows in values.values() for key in rows))
    lines: list[tuple[str, ...] | None] = []
    notes: dict[str, None] = {}
    for ball in dict.fromkeys(ball for ball, _, _ in keys):
        lines += [None] if lines else []
        for measure, words in BALL_MEASURES.items():
            budgets = [budget for each, budget, name in keys if (each, name) == (ball, measure)]
            for budget in budgets:
                own = [values[model].get((ball, budget, measure)) for model in results]
                name = words if len(budgets) == 1 else f"{words}, {budget}"
                lines.append((ball, name, *(_percent(row) for row in own)))
    for measure, words in BALL_MEASURES.items():
        for _, budget, name in keys:
            if name == measure:
                notes[f"{words.capitalize()}, {KINDS[measure]}: {budget}."] = None
    counts = sorted({row.count for rows in results.values() for row in rows})
    title = f"Accuracy over balls in percent, n = {' or '.join(f'{each:,}' for each in counts)}"
    return Table(title=title, columns=("ball", "", *results), lines=tuple(lines), num_labels=2, notes=tuple(notes))


def _apart(condition: str) -> tuple[str, str]:
    """Return the set of points, and what was spent on it.

    Example:
        >>> _apart("linf 0.1, with changes, PGD-40 x 3")
        ('linf 0.1, with changes', 'PGD-40 x 3')
    """
    ball, _, budget = condition.partition(", ")
    if budget.startswith(f"{CHANGES}, "):
        return f"{ball}, {CHANGES}", budget.removeprefix(f"{CHANGES}, ")
    return ball, budget


def recall_rows(results: Mapping[str, Sequence[Row]]) -> dict[str, list[Row]]:
    """Return the rows that a table of accuracies by class shows; nothing if there are none."""
    found = {
        model: [row for row in rows if row.measure == "balanced_top1" or row.measure.startswith("recall ")]
        for model, rows in results.items()
    }
    return found if any(found.values()) else {}


def recall_table(results: Mapping[str, Sequence[Row]]) -> Table:
    """Return the accuracy of every class, and their mean, models across.

    Example:
        >>> row = Row(measure="recall A", condition="clean by class", total=9.0, count=10)
        >>> recall_table({"model": [row]}).lines
        (('A', '10', '90.0'),)
    """
    values = {model: {row.measure: row for row in rows} for model, rows in results.items()}
    lines: list[tuple[str, ...] | None] = []
    for measure in dict.fromkeys(row.measure for rows in results.values() for row in rows):
        own = [values[model].get(measure) for model in results]
        count = next(f"{row.count:,}" for row in own if row)
        if measure != "balanced_top1":
            lines.append((measure.removeprefix("recall "), count, *(_percent(row) for row in own)))
    means = [values[model].get("balanced_top1") for model in results]
    if any(means):
        lines += [None] if lines else []
        lines.append(("mean (balanced)", "", *(_percent(row) for row in means)))
    title = "Accuracy by class in percent"
    return Table(title=title, columns=("class", "samples", *results), lines=tuple(lines), num_labels=2)


def _percent(row: Row | None) -> str:
    return "-" if row is None else f"{100 * row.value:.1f}"
