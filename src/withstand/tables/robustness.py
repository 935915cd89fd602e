"""`robustness`: what small, legal changes of a table's rows do to the answers of any fitted classifier."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
import torch
from torch import Tensor, nn

from withstand.data.base import TensorSplit
from withstand.data.space import Space
from withstand.engine import Engine
from withstand.errors import InputError
from withstand.evaluation.worst_case import WorstCase
from withstand.functional.balls import Norm
from withstand.functional.random import RowStreams, derive_seed
from withstand.limits import NonNegativeInt, Seed, checked
from withstand.models.black_box import BlackBox
from withstand.models.frozen import evaluating
from withstand.perturbations.attacks.budgets import Budget
from withstand.tables.columns import Columns
from withstand.tables.freedom import Freedom, read_freedom
from withstand.tables.least import least_changes
from withstand.tables.through import through

ROWS_AT_ONCE = 256


@dataclass(frozen=True, kw_only=True, eq=False)
class Robustness:
    """What changes of a table's rows do to the answers of a model.

    Attributes:
        accuracy: Share of the rows that are right as they are.
        mean: Mean share of right answers over random legal changes; NaN without.
        worst_case: Share of the rows that stay right whatever legal change was tried: an upper bound.
        rows: One row each: `label`, `answer`, `robust` (right, and no change was found that flips it), `answer_changed`,
            `columns` that change, and `change` in their own units, as text; the least change that was found.
        changed: The rows with the least change that flips them, in the order of `X`; unchanged rows where there is none.
        notes: What a reader of the numbers must know.
    """

    accuracy: float
    mean: float
    worst_case: float
    rows: pl.DataFrame
    changed: Any
    notes: tuple[str, ...] = ()

    def __str__(self) -> str:
        """Return the numbers in words."""
        fragile = self.rows.filter(pl.col("right") & ~pl.col("robust"))
        lines = [
            f"{len(self.rows):,} rows: accuracy {self.accuracy:.1%}, worst case {self.worst_case:.1%}",
            f"{len(fragile):,} right rows have a change that flips them",
        ]
        return "\n".join([*lines, *self.notes])


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
        norm: How changes of several columns add up: `linf` limits each, `l2` and `l1` all together.
        limits: Lowest and highest value of a column (None for no limit).
        rules: Relations between columns that hold in every legal row; see `read_relation`.
        names: Names of the columns of an array.
        budget: Which attacks: `quick`, `standard` or `thorough`.
        num_mean: Random legal changes per row for the mean; 0 disables it.
        seed: Seed of all draws.

    Raises:
        InputError: If an argument is invalid, or model, rows and labels do not fit.
    """
    who = "robustness"
    columns = Columns.of(X, names=names, split=tuple(changes or ()), who=who)
    freedom = read_freedom(columns, radius=radius, changes=changes or {}, unit=unit, norm=norm, limits=limits or {}, rules=rules)
    x = torch.from_numpy(columns.matrix())
    module, labels = as_module(model, columns, y, who=who)
    searched = through(model, columns, freedom.space.features.movable) or module
    found, mean = _attack(searched, x, labels, freedom, budget=budget, num_mean=num_mean, seed=int(seed))
    with torch.no_grad():
        right = module(x).argmax(1) == labels
        least = least_changes(module, x, labels, found, freedom.space)
    return _result(module, columns, x, labels, least, right, mean, freedom)


def as_module(model: Any, columns: Columns, y: Any, *, who: str) -> tuple[nn.Module, Tensor]:
    """Return a model of the matrix of a table, and the numbers of the labels."""
    classes = getattr(model, "classes_", None)
    labels = np.asarray(y).ravel()
    if len(labels) != columns.num_rows:
        raise InputError(f"{who}: y must hold one label per row ({columns.num_rows:,}), got {len(labels):,}.")
    names = list(dict.fromkeys(labels.tolist() if classes is None else np.asarray(classes).tolist()))
    number = {name: place for place, name in enumerate(names)}
    unknown = [each for each in labels.tolist() if each not in number]
    if unknown:
        raise InputError(f"{who}: y must hold classes of the model ({names!r}), got {unknown[0]!r}.")

    def probabilities(rows: np.ndarray) -> np.ndarray:
        table = columns.table(rows)
        if hasattr(model, "predict_proba"):
            return np.asarray(model.predict_proba(table))
        answer = np.asarray(model.predict(table) if hasattr(model, "predict") else model(table))
        if answer.ndim == 2:
            return answer
        return np.eye(len(names))[[number[each] for each in answer.ravel().tolist()]]

    probabilities.__name__ = type(model).__name__
    return BlackBox(probabilities, range(len(names)), dtype="float64"), torch.tensor([number[each] for each in labels.tolist()])


def _attack(
    model: nn.Module, x: Tensor, y: Tensor, freedom: Freedom, *, budget: Budget, num_mean: int, seed: int
) -> tuple[Tensor, float]:
    """Return a wrong legal point of each row, or the row itself, and the mean over random points."""
    space: Space = freedom.space
    engine, points, shares = Engine.start(device="cpu"), [], []
    num_classes = int(model(x[:1]).shape[1])
    split = TensorSplit(x, y, classes=tuple(map(str, range(num_classes))), box=None, features=space.features)
    evaluation = WorstCase(balls=(freedom.ball,), budget=budget, num_mean=num_mean)
    state = evaluation.prepare(model, split, space=space, seed=seed, engine=engine)
    for rows in torch.arange(len(x)).split(ROWS_AT_ONCE):
        rng = RowStreams(derive_seed(seed, "robustness"), rows, device=engine.device)
        own = freedom.of_rows(rows)
        worst = WorstCase(balls=(own,), budget=budget, num_mean=num_mean)
        with torch.no_grad(), evaluating(model):
            (found,) = worst.points(model, x[rows], y[rows], space=space, state=state, rng=rng).values()
            points.append(torch.where(found.success[:, None], found.points, x[rows]))
            if num_mean:
                shares.append(worst.mean(model, x[rows], y[rows], own, space=space, rng=rng.named("mean")))
    return torch.cat(points), float(torch.cat(shares).mean()) if shares else float("nan")


def _result(
    model: nn.Module, columns: Columns, x: Tensor, y: Tensor, points: Tensor, right: Tensor, mean: float, freedom: Freedom
) -> Robustness:
    answers = model(points).argmax(1)
    robust = right & (answers == y)
    before, after = columns.table(x.numpy()), columns.table(points.numpy())
    moved = [_moved(columns, x[row].numpy(), points[row].numpy()) for row in range(len(x))]
    rows = pl.DataFrame(
        {
            "row": range(len(x)),
            "right": right.tolist(),
            "robust": robust.tolist(),
            "num_columns": [len(each) for each in moved],
            "columns": [", ".join(each) for each in moved],
            "change": [_told(each, before, after, row) for row, each in enumerate(moved)],
        }
    )
    return Robustness(
        accuracy=float(right.double().mean()),
        mean=mean,
        worst_case=float(robust.double().mean()),
        rows=rows,
        changed=after,
        notes=freedom.notes,
    )


def _moved(columns: Columns, before: np.ndarray, after: np.ndarray) -> list[str]:
    return [str(each.name) for each in columns.columns if (before[list(each.inputs)] != after[list(each.inputs)]).any()]


def _told(names: Sequence[str], before: Any, after: Any, row: int) -> str:
    def cell(table: Any, name: str) -> Any:
        return table[name].iloc[row] if hasattr(table, "iloc") else table[name][row]

    if isinstance(before, np.ndarray):
        return ""
    return "; ".join(f"{name}: {_text(cell(before, name))} -> {_text(cell(after, name))}" for name in names)


def _text(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
