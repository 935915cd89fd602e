"""Robustness: how often small, legal changes of a table's rows flip the predictions of a model."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl
import torch

from withstand.errors import InputError
from withstand.functional.balls import Norm
from withstand.limits import NonNegativeInt, PositiveFloat, Seed, checked
from withstand.perturbations.attacks.budgets import Budget
from withstand.study.measures.intervals import wilson
from withstand.tables.change_text import describe_changes
from withstand.tables.exact import prove, read_trees
from withstand.tables.freedom import Unit
from withstand.tables.search import Asked, Found, ask, search

ROWS = (
    "row",
    "label",
    "prediction",
    "correct",
    "mean",
    "robust",
    "robust_without_rules",
    "new_prediction",
    "num_columns",
    "columns",
    "change",
)


@dataclass(frozen=True, kw_only=True, eq=False)
class Robustness:
    """How often changes of a table's rows flip the predictions of a model. Shares are fractions in [0, 1].

    Attributes:
        rows: One row per row of `X`: `row`, its number from 0; `label`; `prediction`; `correct`; `mean`, the share of
            random legal changes with a correct prediction; `robust`, whether it is correct and no change was found
            that flips it; `robust_without_rules`, the same if limits and rules are ignored; and the least change that
            was found: `new_prediction`; `num_columns`, without those that follow from a rule; all `columns`; and the
            `change` in their own units, as text. With `exact`, also `proved`.
        changed: `X` with these changes.
        certified: Share of the rows that are correct and proved to stay so: a lower bound; NaN without `exact`.
        notes: Remarks on rows and columns that cannot move, and on rows left undecided.
    """

    rows: pl.DataFrame
    changed: Any
    certified: float = float("nan")
    notes: tuple[str, ...] = ()

    @property
    def accuracy(self) -> float:
        """Share of the unchanged rows that are predicted correctly."""
        return self._share("correct")

    @property
    def mean(self) -> float:
        """Mean share of correct predictions under random legal changes; NaN without any."""
        return self._share("mean")

    @property
    def worst_case(self) -> float:
        """Share of the rows that stay correct under every legal change that was tried: an upper bound."""
        return self._share("robust")

    @property
    def worst_case_without_rules(self) -> float:
        """The same if limits and rules are ignored."""
        return self._share("robust_without_rules")

    def _share(self, column: str) -> float:
        values = self.rows[column].cast(pl.Float64)
        return float("nan") if values.has_nulls() else float(values.to_numpy().mean())

    def __str__(self) -> str:
        """Return the numbers as text, with 95 % intervals."""
        correct, robust = (int(self.rows[each].sum()) for each in ("correct", "robust"))
        lines = [
            f"accuracy           {_percent(self.accuracy, len(self.rows))}",
            f"mean over changes  {self.mean:7.1%}",
            f"worst case         {_percent(self.worst_case, len(self.rows))}: "
            f"changes flip {correct - robust:,} of {correct:,} correct predictions",
        ]
        if self.certified == self.certified:
            lines.append(f"proved             {_percent(self.certified, len(self.rows))}")
        if self.worst_case_without_rules != self.worst_case:
            lines.append(f"without the rules  {_percent(self.worst_case_without_rules, len(self.rows))}")
        return "\n".join([*lines, *(f"Note: {each}" for each in self.notes)])


@checked
def robustness(
    model: Any,
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
    seed: Seed = 0,
    exact: bool | PositiveFloat = False,
) -> Robustness:
    """Return how often small, legal changes of the rows flip the predictions of a fitted classifier.

    Args:
        model: Anything with `predict_proba` or `predict`: an estimator, a pipeline, or a function of tables.
        X: Rows: a data frame of pandas or polars, or an array, as the model takes them.
        y: A label per row.
        radius: Largest change: a number for all numeric columns, or a dictionary by column. Whole numbers stay whole.
        changes: Dictionary from a column to its values that may replace each other.
        unit: Unit of the radii: `raw`, those of the columns, or `std`, standard deviations in X.
        norm: `linf` limits the change of each column separately; `l2` and `l1` limit all changes together.
        limits: Dictionary from a column to its lowest and highest value, None for no limit.
        rules: Relations between columns that hold in every legal row; see `read_relation`.
        names: Names of the columns of an array.
        budget: Which attacks: `quick`, `standard` or `thorough`.
        num_mean: Random legal changes per row for the mean; 0 disables it.
        seed: Seed of all draws.
        exact: Whether to prove that trees keep correct predictions (column `proved`); a number is the seconds per row.

    Raises:
        InputError: If an argument is invalid, or model, rows and labels do not fit.

    Example:
        >>> from sklearn import datasets, tree
        >>> X, y = datasets.load_iris(return_X_y=True)
        >>> found = robustness(tree.DecisionTreeClassifier().fit(X, y), X, y, radius=0.2, budget="quick")
        >>> found.worst_case < found.mean < found.accuracy
        True
    """
    free = {"radius": radius, "changes": changes, "unit": unit, "norm": norm, "limits": limits, "rules": rules}
    asked = ask(model, X, _given(y), names=names, who="robustness", **free)
    return _measured(model, asked, exact=float(exact), budget=budget, num_mean=num_mean, seed=int(seed))


def _given(y: Any) -> Any:
    if y is None:
        raise InputError("robustness: y must hold a label per row, got None; fragility needs no labels.")
    return y


def _measured(model: Any, asked: Asked, *, exact: float, budget: Budget, num_mean: int, seed: int) -> Robustness:
    """Return the result, with proofs if `exact`, the time limit per row, is above 0."""
    own = {"budget": budget, "num_mean": num_mean, "seed": seed}
    if not exact:
        return _summary(search(asked, **own), asked, **own)
    trees = read_trees(model, asked)  # rejects other models before the search
    found, proved = prove(trees, asked, search(asked, **own), seconds=exact)
    plain = _summary(found, asked, **own)
    rows = plain.rows.with_columns(proved=pl.Series(proved.numpy()))
    unknown = len(rows.filter(pl.col("robust") & ~pl.col("proved")))
    note = f"{unknown:,} of {len(rows):,} rows are neither proved nor flipped; more seconds may decide them."
    certified = float(proved.numpy().mean())
    return replace(plain, rows=rows, certified=certified, notes=plain.notes + ((note,) if unknown else ()))


def _summary(found: Found, asked: Asked, *, budget: Budget, num_mean: int, seed: int) -> Robustness:
    rows = rows_of(found, asked)
    free = _robust_without_rules(rows, asked, budget=budget, seed=seed)
    means = pl.Series(found.means.numpy()) if num_mean else pl.lit(None, pl.Float64)
    rows = rows.with_columns(robust_without_rules=free, mean=means)
    return Robustness(
        rows=rows.select(ROWS),
        changed=asked.columns.table(found.points.numpy()),
        notes=asked.freedom.notes,
    )


def rows_of(found: Found, asked: Asked) -> pl.DataFrame:
    """Return the rows with their least changes; see `Robustness.rows`."""
    with torch.no_grad():
        before, after = (asked.subject.module(each).argmax(1) for each in (found.x, found.points))
    correct, is_flipped = before == asked.labels, found.is_flipped
    changes = describe_changes(asked.columns, found.x.numpy(), found.points.numpy())
    follow = asked.freedom.followers

    def names(numbers: torch.Tensor) -> np.ndarray:
        return np.array(asked.subject.classes)[numbers.numpy()]

    return pl.DataFrame(
        {
            "row": range(len(correct)),
            "label": names(asked.labels),
            "prediction": names(before),
            "correct": correct.numpy(),
            "robust": (correct & ~is_flipped).numpy(),
            "new_prediction": pl.Series(names(after)).zip_with(pl.Series(is_flipped.numpy()), pl.Series([None])),
            "num_columns": [len(each.keys() - follow) for each in changes],
            "columns": [", ".join(each) for each in changes],
            "change": ["; ".join(each.values()) for each in changes],
        }
    )


def _robust_without_rules(rows: pl.DataFrame, asked: Asked, *, budget: Budget, seed: int) -> pl.Series:
    """Return which rows stay correct if limits and rules are ignored."""
    robust = torch.from_numpy(rows["robust"].to_numpy().copy())
    left = robust.nonzero()[:, 0]
    if asked.freedom.has_rules and len(left):
        free = asked._replace(freedom=asked.freedom.without_rules()).rows(left)
        robust[left[search(free, budget=budget, num_mean=0, seed=seed).is_flipped]] = False
    return pl.Series(robust.numpy())


def _percent(share: float, count: int) -> str:
    low, high = wilson(share, count)
    return f"{share:7.1%} ({low:.1%} to {high:.1%})"
