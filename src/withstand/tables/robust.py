"""Robustness: what small, legal changes of a table's rows do to the answers of a model."""

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
from withstand.tables.exact import read_trees, settle
from withstand.tables.search import Asked, Found, ask
from withstand.tables.told import changes_of

ROWS = (
    "row",
    "label",
    "answer",
    "right",
    "mean",
    "robust",
    "robust_without_rules",
    "answer_changed",
    "num_columns",
    "columns",
    "change",
)


@dataclass(frozen=True, kw_only=True, eq=False)
class Robustness:
    """What changes of a table's rows do to the answers of a model.

    Attributes:
        rows: One row per row of `X`: `row`, its number from 0; `label`; `answer`; `right`; `mean`, the share of random
            legal changes with the right answer; `robust`, whether it is right and no change was found that flips it;
            `robust_without_rules`, the same if limits and rules are ignored; and the least change that was found:
            `answer_changed`; `num_columns`, without those that follow from a rule; all `columns`; and the `change` in
            their own units, as text.
        changed: `X` with these changes.
        certified: Share of the rows that are right, and proved to stay so: a lower bound; NaN without `exact`.
        notes: What a reader of the numbers must know.
    """

    rows: pl.DataFrame
    changed: Any
    certified: float = float("nan")
    notes: tuple[str, ...] = ()

    @property
    def accuracy(self) -> float:
        """Share of the rows that are right as they are."""
        return self._share("right")

    @property
    def mean(self) -> float:
        """Mean share of right answers over random legal changes; NaN without."""
        return self._share("mean")

    @property
    def worst_case(self) -> float:
        """Share of the rows that stay right whatever legal change was tried: an upper bound."""
        return self._share("robust")

    @property
    def worst_case_without_rules(self) -> float:
        """The same if limits and rules are ignored."""
        return self._share("robust_without_rules")

    def _share(self, column: str) -> float:
        values = self.rows[column].cast(pl.Float64)
        return float("nan") if values.has_nulls() else float(values.to_numpy().mean())

    def __str__(self) -> str:
        """Return the numbers in words."""
        right, robust = (int(self.rows[each].sum()) for each in ("right", "robust"))
        lines = [
            f"accuracy           {_percent(self.accuracy, len(self.rows))}",
            f"mean over changes  {self.mean:7.1%}",
            f"worst case         {_percent(self.worst_case, len(self.rows))}: "
            f"{right - robust:,} of {right:,} right rows have a change that flips them",
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
    unit: str = "raw",
    norm: Norm = "linf",
    limits: Mapping | None = None,
    rules: Sequence[str] = (),
    names: Sequence[str] = (),
    budget: Budget = "standard",
    num_mean: NonNegativeInt = 64,
    seed: Seed = 0,
    exact: bool | PositiveFloat = False,
) -> Robustness:
    """Return what small, legal changes of the rows do to the answers of a fitted classifier.

    Args:
        model: Anything with `predict_proba` or `predict`: an estimator, a pipeline, or a function of tables.
        X: Rows: a data frame of pandas or polars, or an array, as the model takes them.
        y: A label per row.
        radius: How far each column may change: a number for all columns of numbers, or a dictionary by column; columns
            without stay as they are. Whole numbers stay whole.
        changes: Values of a column that may replace each other.
        unit: Unit of the radii: `raw`, those of the columns, or `std`, standard deviations in X.
        norm: `linf` limits the change of each column, `l2` and `l1` that of all together.
        limits: Lowest and highest value of a column (None for no limit).
        rules: Relations between columns that hold in every legal row; see `read_relation`.
        names: Names of the columns of an array.
        budget: Which attacks: `quick`, `standard` or `thorough`.
        num_mean: Random legal changes per row for the mean; 0 disables it.
        seed: Seed of all draws.
        exact: Whether to prove that rows stay right (column `proved`), for trees; a number is the most seconds per row.

    Raises:
        InputError: If an argument is invalid, or model, rows and labels do not fit.

    Example:
        >>> from sklearn.datasets import load_iris
        >>> from sklearn.tree import DecisionTreeClassifier
        >>> X, y = load_iris(return_X_y=True)
        >>> found = robustness(DecisionTreeClassifier().fit(X, y), X, y, radius=0.2, budget="quick")
        >>> found.worst_case < found.mean < found.accuracy
        True
    """
    free = {"radius": radius, "changes": changes, "unit": unit, "norm": norm, "limits": limits, "rules": rules}
    asked = ask(model, X, _given(y), names=names, who="robustness", **free)
    return _answered(model, asked, exact=float(exact), budget=budget, num_mean=num_mean, seed=int(seed))


def _given(y: Any) -> Any:
    if y is None:
        raise InputError("robustness: y must hold a label per row, got None; fragility needs no labels.")
    return y


def _answered(model: Any, asked: Asked, *, exact: float, budget: Budget, num_mean: int, seed: int) -> Robustness:
    """Return the result, with proofs if they may take time."""
    own = {"budget": budget, "num_mean": num_mean, "seed": seed}
    if not exact:
        return _summary(asked.search(**own), asked, **own)
    trees = read_trees(model, asked)  # refuses other models before the search
    found, proofs = settle(trees, asked, asked.search(**own), seconds=exact)
    plain = _summary(found, asked, **own)
    rows = plain.rows.with_columns(proved=pl.Series(proofs.proved.numpy()))
    certified = float(proofs.proved.numpy().mean())
    return replace(plain, rows=rows, certified=certified, notes=plain.notes + proofs.notes)


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
    right, is_flipped = before == asked.labels, found.is_flipped
    told = changes_of(asked.columns, found.x.numpy(), found.points.numpy())
    follow = asked.freedom.followers

    def names(numbers: torch.Tensor) -> np.ndarray:
        return np.array(asked.subject.classes)[numbers.numpy()]

    return pl.DataFrame(
        {
            "row": range(len(right)),
            "label": names(asked.labels),
            "answer": names(before),
            "right": right.numpy(),
            "robust": (right & ~is_flipped).numpy(),
            "answer_changed": pl.Series(names(after)).zip_with(pl.Series(is_flipped.numpy()), pl.Series([None])),
            "num_columns": [len(each.keys() - follow) for each in told],
            "columns": [", ".join(each) for each in told],
            "change": ["; ".join(each.values()) for each in told],
        }
    )


def _robust_without_rules(rows: pl.DataFrame, asked: Asked, *, budget: Budget, seed: int) -> pl.Series:
    """Return which rows stay right if limits and relations are ignored."""
    robust = torch.from_numpy(rows["robust"].to_numpy().copy())
    left = robust.nonzero()[:, 0]
    if asked.freedom.has_rules and len(left):
        free = asked._replace(freedom=asked.freedom.without_rules()).rows(left)
        robust[left[free.search(budget=budget, num_mean=0, seed=seed).is_flipped]] = False
    return pl.Series(robust.numpy())


def _percent(share: float, count: int) -> str:
    low, high = wilson(share, count)
    return f"{share:7.1%} ({low:.1%} to {high:.1%})"
