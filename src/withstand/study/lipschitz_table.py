"""Lipschitz bounds side by side: models across."""

import math
from collections.abc import Mapping, Sequence

from withstand.study.row import Row
from withstand.study.table import Table

LIPSCHITZ_MEASURES = {
    "lipschitz_upper_product": "upper bound, product of norms",
    "lipschitz_upper_eclipse": "upper bound, ECLipsE-Fast",
    "lipschitz_upper_lipsdp": "upper bound, LipSDP",
    "lipschitz_lower": "lower bound, search",
    "lipschitz_local_median": "median over the samples, no bound",
}


def lipschitz_rows(results: Mapping[str, Sequence[Row]]) -> dict[str, list[Row]]:
    """Return the rows that a table of Lipschitz bounds shows; nothing if there are none."""
    found = {model: [row for row in rows if row.measure in LIPSCHITZ_MEASURES] for model, rows in results.items()}
    return found if any(found.values()) else {}


def lipschitz_table(results: Mapping[str, Sequence[Row]]) -> Table:
    """Return the bounds of Lipschitz constants, upper ones rounded up and lower ones rounded down, models across.

    Example:
        >>> row = Row(measure="lipschitz_upper_product", condition="l2 to l2", total=12.3401, count=1)
        >>> lipschitz_table({"model": [row]}).lines
        (('l2 to l2', 'upper bound, product of norms', '12.35'),)
    """
    values = {model: {(row.condition, row.measure): row for row in rows} for model, rows in results.items()}
    lines: list[tuple[str, ...] | None] = []
    for condition in dict.fromkeys(condition for rows in values.values() for condition, _ in rows):
        lines += [None] if lines else []
        for measure, words in LIPSCHITZ_MEASURES.items():
            own = [values[model].get((condition, measure)) for model in results]
            if any(own):
                lines.append((condition, words, *(_rounded(row) for row in own)))
    title = "Lipschitz constant: change of the logits (l2) per change of the input (l2)"
    return Table(title=title, columns=("norms", "", *results), lines=tuple(lines), num_labels=2)


def _rounded(row: Row | None) -> str:
    """Return a value, rounded to the side on which a bound still holds."""
    if row is None:
        return "-"
    digits = 2 if row.value < 1000 else 0
    if row.measure == "lipschitz_local_median":
        return f"{row.value:,.{digits}f}"
    side = math.floor if row.measure == "lipschitz_lower" else math.ceil
    return f"{side(row.value * 10**digits) / 10**digits:,.{digits}f}"
