"""Comparison: several models on the same rows, under the same changes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import polars as pl

from withstand.errors import InputError, brief
from withstand.functional.balls import Norm
from withstand.limits import NonNegativeInt, Seed, Share, checked
from withstand.perturbations.attacks.budgets import Budget
from withstand.rendering.cell import Cell
from withstand.rendering.grid import Grid
from withstand.rendering.terminal import as_text
from withstand.study.measures import comparison
from withstand.study.measures.intervals import share, wilson
from withstand.tables.entry_errors import right_under_errors
from withstand.tables.freedom import Unit
from withstand.tables.robust import Robustness, robustness

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NUM_ERRORS = 16  # draws per kind of wrong entries
# Measure, and the column of `Robustness.rows` whose mean it is.
MEASURES = {
    "accuracy": "correct",
    "mean over changes": "mean",
    "wrong entries, {}": "errors",
    "worst case": "robust",
    "worst case without rules": "robust_without_rules",
}


@dataclass(frozen=True, kw_only=True, eq=False)
class Comparison:
    """Several models on the same rows.

    Attributes:
        table: One row per model and measure: `model`; `measure`; `value`, a share of the rows; `low` and `high`, its
            95 % interval; `difference` from the first model, its interval `difference_low` and `difference_high` from a
            bootstrap of the rows, and `p` of McNemar's exact test, null for shares of random changes.
        models: What was found for each model.
    """

    table: pl.DataFrame
    models: dict[str, Robustness]

    def __str__(self) -> str:
        """Return a line per model, with intervals."""
        first, names = next(iter(self.models)), self.table["measure"].unique(maintain_order=True).to_list()
        lines = []
        for model in self.models:
            own = {each["measure"]: each for each in self.table.filter(pl.col("model") == model).to_dicts()}
            lines.append((model, *(_cell(own[each], is_baseline=model == first) for each in names)))
        count = len(self.models[first].rows)
        grid = Grid(
            title=f"Correct predictions in percent of {count:,} rows, with 95 % intervals",
            columns=("model", *names),
            lines=tuple(lines),
            notes=(f"*: differs from {first} (95 % interval of the difference on the same rows).", *self.notes),
        )
        return as_text([grid])

    @property
    def notes(self) -> tuple[str, ...]:
        """Notes of all models, each once."""
        return tuple(dict.fromkeys(note for each in self.models.values() for note in each.notes))

    def figure(self) -> "Figure":
        """Return a figure: one line per model, one marker per measure, with 95 % intervals."""
        from withstand.reports.figures.intervals import intervals_figure

        return intervals_figure(self.table.to_dicts())


@checked
def compare(
    models: Mapping,
    X: Any,
    y: Any,
    *,
    radius: Any = None,
    changes: Mapping | None = None,
    unit: Unit = "raw",
    norm: Norm = "linf",
    limits: Mapping | None = None,
    rules: Sequence[str] = (),
    names: Sequence[str] = (),
    budget: Budget = "standard",
    num_mean: NonNegativeInt = 64,
    errors: Share = 0.05,
    seed: Seed = 0,
) -> Comparison:
    """Compare fitted classifiers on the same rows, under the same legal changes.

    Args:
        models: Models by name, as `robustness` takes them; differences are from the first one.
        X: As in `robustness`, like the other arguments.
        y: A label per row.
        radius: How far each column may change.
        changes: Values of a column that may replace each other.
        unit: Unit of the radii.
        norm: Norm that combines the changes of several columns.
        limits: Lowest and highest value of a column.
        rules: Relations between columns that hold in every legal row.
        names: Names of the columns of an array.
        budget: Which attacks.
        num_mean: Random legal changes per row.
        errors: Probability that an entry is wrong, in [0, 1): missing values, typos, wrong units and other errors; see
            `--on table-errors`. 0 disables it.
        seed: Seed of all draws.

    Raises:
        InputError: If an argument is invalid, or a model does not fit the rows.
    """
    if not models:
        raise InputError("compare: models must be a dictionary of at least one model by name, got none.")
    if len(set(map(str, models))) < len(models):
        raise InputError(f"compare: models must have names that differ as text, got {brief(list(models))}.")
    free = {"radius": radius, "changes": changes, "unit": unit, "norm": norm, "limits": limits, "rules": rules}
    own = {"names": names, "budget": budget, "num_mean": num_mean, "seed": seed}
    found = {str(name): robustness(each, X, y, **free, **own) for name, each in models.items()}
    wrong = {"names": names, "probability": errors, "num_draws": NUM_ERRORS, "seed": int(seed), "who": "compare"}
    shares = {str(name): right_under_errors(each, X, y, **wrong) for name, each in models.items()} if errors else {}
    return Comparison(table=pl.DataFrame(_lines(found, shares, errors), infer_schema_length=None), models=found)


def _lines(models: Mapping[str, Robustness], errors: Mapping[str, Any], probability: float) -> list[dict[str, Any]]:
    found = []
    has_rules = any(each.worst_case_without_rules != each.worst_case for each in models.values())
    rows = {name: each.rows.with_columns(number=pl.col("row"), identifier=None) for name, each in models.items()}
    rows = {name: each.with_columns(errors=errors[name].numpy()) if errors else each for name, each in rows.items()}
    first = next(iter(rows.values()))
    measures = {name.format(f"{probability:.3g}"): column for name, column in MEASURES.items()}
    for name, own in rows.items():
        for measure, column in measures.items():
            is_there = column in own.columns and not own[column].has_nulls()
            if not is_there or (column == "robust_without_rules" and not has_rules):
                continue
            compared = comparison.compare(own, first, column=column)
            values = own[column].cast(pl.Float64).to_numpy()
            value, error = float(values.mean()), float(values.std()) / len(values) ** 0.5
            is_share = own[column].dtype == pl.Boolean
            low, high = wilson(value, len(values)) if is_share else share(value, error, len(values))
            found.append(
                {
                    "model": name,
                    "measure": measure,
                    "value": value,
                    "low": low,
                    "high": high,
                    "difference": compared.difference,
                    "difference_low": compared.low,
                    "difference_high": compared.high,
                    "p": compared.p,
                }
            )
    return found


def _cell(line: Mapping[str, Any], *, is_baseline: bool) -> Cell:
    low, high = line["difference_low"], line["difference_high"]
    tone = "" if is_baseline or low <= 0 <= high else "better" if low > 0 else "worse"
    text, low, high = (f"{100 * line[each]:.1f}" for each in ("value", "low", "high"))
    return Cell(text=text, low=low, high=high, tone=tone)
