"""Fragility: the rows whose predictions flip, and the columns that flip them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch
from torch import Tensor

from withstand.files import check_no_folder, write_whole
from withstand.functional.balls import Norm
from withstand.limits import Seed, checked
from withstand.perturbations.attacks.budgets import Budget
from withstand.reading.places import expanded
from withstand.reports.page.fragility import fragility_page
from withstand.tables.freedom import Unit
from withstand.tables.robust import rows_of
from withstand.tables.scan import SHARES
from withstand.tables.search import Asked, Found, ask, search


@dataclass(frozen=True, kw_only=True, eq=False)
class Fragility:
    """Which predictions of a model flip under small, legal changes of the rows, and which columns flip them.

    Attributes:
        rows: The rows whose prediction flips, most fragile first: fewest columns, then smallest change. `row`, its
            number from 0; `prediction`; `new_prediction`; `num_columns`; `size`, the largest share of its radius by
            which a column moves (1 for a category); `columns` and `change`, as text; with labels also `label` and
            `correct`.
        columns: One row per column that may change, most effective first: `flips`, the number of rows that it flips
            alone; the same `at 25 %`, `at 50 %` and so on of its radius; `takes_part`, the number of least changes that
            include it.
        changed: `X` with the least change of each fragile row; other rows are unchanged.
        num_rows: Number of rows of `X`.
        may_change: Description of what may change, by column, and the rules.
        notes: Remarks on rows and columns that cannot move.
    """

    rows: pl.DataFrame
    columns: pl.DataFrame
    changed: Any
    num_rows: int
    may_change: dict[str, str]
    notes: tuple[str, ...] = ()

    @property
    def headline(self) -> str:
        """The result in a sentence."""
        share = len(self.rows) / self.num_rows
        alone = int((self.rows["num_columns"] == 1).sum())
        count = f"{len(self.rows):,} of {self.num_rows:,} predictions flip ({share:.1%})"
        return f"{count}, {alone:,} of them by changing a single column."

    def __str__(self) -> str:
        """Return the headline, the columns and the most fragile rows."""
        with pl.Config(tbl_hide_dataframe_shape=True, tbl_hide_column_data_types=True, fmt_str_lengths=60):
            shown = self.rows.select("row", "prediction", "new_prediction", "change").head(10)
            parts = [self.headline, str(self.columns.head(10)), str(shown), *(f"Note: {each}" for each in self.notes)]
        return "\n".join(parts)

    @checked
    def write(self, path: str | Path) -> Path:
        """Write a self-contained HTML page, and return its path."""
        path = expanded(path)
        check_no_folder(path)
        text = fragility_page(
            headline=self.headline,
            columns=self.columns.to_dicts(),
            rows=self.rows.to_dicts(),
            may_change=self.may_change,
            notes=self.notes,
        )
        write_whole(path, text.encode())
        return path


@checked
def fragility(
    model: Any,
    X: Any,
    y: Any = None,
    *,
    radius: Any = None,
    changes: Mapping | None = None,
    unit: Unit = "raw",
    norm: Norm = "linf",
    limits: Mapping | None = None,
    rules: Sequence[str] = (),
    names: Sequence[str] = (),
    budget: Budget = "standard",
    seed: Seed = 0,
) -> Fragility:
    """Return the rows whose prediction flips under a small, legal change, and the columns that flip most of them.

    Args:
        model: As in `robustness`, like the other arguments.
        X: The rows.
        y: Labels, to mark correct predictions; None for unlabelled rows.
        radius: How far each column may change.
        changes: Values of a column that may replace each other.
        unit: Unit of the radii.
        norm: Norm that combines the changes of several columns.
        limits: Lowest and highest value of a column.
        rules: Relations between columns that hold in every legal row.
        names: Names of the columns of an array.
        budget: Which attacks.
        seed: Seed of all draws.

    Raises:
        InputError: If an argument is invalid, or model and rows do not fit.

    Example:
        >>> from sklearn.datasets import load_iris
        >>> from sklearn.tree import DecisionTreeClassifier
        >>> X, y = load_iris(return_X_y=True, as_frame=True)
        >>> found = fragility(DecisionTreeClassifier(max_depth=2).fit(X, y), X, radius=0.2, budget="quick")
        >>> found.rows["columns"].unique().to_list()
        ['petal width (cm)']
    """
    free = {"radius": radius, "changes": changes, "unit": unit, "norm": norm, "limits": limits, "rules": rules}
    asked = ask(model, X, None, names=names, who="fragility", **free)
    labels = None if y is None else asked.subject.numbers(y, asked.columns.num_rows, who="fragility")
    return _summary(asked, search(asked, budget=budget, num_mean=0, seed=int(seed)), labels)


def _summary(asked: Asked, found: Found, labels: Tensor | None) -> Fragility:
    rows = rows_of(found, asked).drop("label", "correct", "robust")
    rows = rows.with_columns(size=pl.Series(_sizes(asked, found)))
    if labels is not None:
        own = np.array(asked.subject.classes)[labels.numpy()]
        rows = rows.with_columns(label=pl.Series(own), correct=pl.Series((labels == asked.labels).numpy()))
    fragile = rows.filter(pl.col("num_columns") > 0).sort("num_columns", "size", "row")
    order = ("row", "label", "correct", "prediction", "new_prediction", "num_columns", "size", "columns", "change")
    return Fragility(
        rows=fragile.select(each for each in order if each in fragile.columns),
        columns=_columns(asked, found),
        changed=asked.columns.table(found.points.numpy()),
        num_rows=len(found.x),
        may_change=asked.freedom.describe(asked.columns),
        notes=asked.freedom.notes,
    )


def _sizes(asked: Asked, found: Found) -> np.ndarray:
    """Return the largest share of its radius by which a column of each row moves; 1 for a category."""
    radii = torch.tensor(asked.freedom.ball.radius, dtype=found.x.dtype)
    radii[list(asked.freedom.rules.derived)] = 0  # follow the others, however far
    delta = (found.points - found.x).abs()
    shares = torch.where(radii > 0, delta / torch.where(radii > 0, radii, 1), 0).amax(1)
    swapped = [each for change in asked.freedom.changes for each in change.inputs]
    is_swapped = (delta[:, swapped] > 0).any(1)
    return torch.where(is_swapped, torch.ones_like(shares), shares).numpy()


def _columns(asked: Asked, found: Found) -> pl.DataFrame:
    """Return what each column that may change flips; see `Fragility.columns`."""
    own, delta = [], found.points != found.x
    for number, each in enumerate(asked.columns.columns):
        if not asked.freedom.may_change(each):
            continue
        shares = found.shares[:, number]
        at = {f"at {share:.0%}".replace("%", " %"): int((shares <= share).sum()) for share in SHARES[:-1]}
        takes_part = int(delta[:, list(each.inputs)].any(1).sum())
        flips = int((shares <= 1).sum())
        own.append({"column": str(each.name), "flips": flips, **at, "takes_part": takes_part})
    return pl.DataFrame(own).sort("flips", "takes_part", descending=True, maintain_order=True)
