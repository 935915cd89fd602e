"""Search: legal changes of a table's rows that flip the predictions of a model."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from withstand.data.base import TensorSplit
from withstand.engine import Engine
from withstand.evaluation.worst_case import WorstCase
from withstand.functional.random import RowStreams, derive_seed
from withstand.models.frozen import evaluating, with_gradients
from withstand.models.wrappers.black_box import is_differentiable
from withstand.perturbations.attacks.attack import Attack
from withstand.perturbations.attacks.budgets import QUERIES, Budget
from withstand.perturbations.attacks.coordinate_search import CoordinateSearch
from withstand.perturbations.ball import Ball
from withstand.tables.columns import Columns
from withstand.tables.freedom import Freedom, read_freedom
from withstand.tables.least import least_changes
from withstand.tables.scan import scan
from withstand.tables.subject import Subject, subject_of

ROWS_AT_ONCE, FEWEST_ROWS = 2048, 256
CELLS_AT_ONCE = 2**20  # of a round of the search without gradients, per value that it tries
LEAST_ROUNDS = 8  # queries per column, without which a search one column at a time takes too long


class Found(NamedTuple):
    """What was found around the rows of a table.

    Attributes:
        x: The rows (row, input).
        points: The nearest legal points found with another prediction; the row itself without one (row, input).
        shares: Share of the radius at which a column alone flips a row (row, column); see `Scan`.
        means: Share of random legal points that are predicted as the label (row,); empty without any.
    """

    x: Tensor
    points: Tensor
    shares: Tensor
    means: Tensor

    @property
    def is_flipped(self) -> Tensor:
        """Which rows have a point with another prediction (row,)."""
        return (self.points != self.x).any(1)


class Asked(NamedTuple):
    """A model, the rows of a table, and what may change in them.

    Attributes:
        columns: The columns.
        freedom: What may move.
        subject: The model.
        x: The rows (row, input).
        labels: The numbers of their labels.
    """

    columns: Columns
    freedom: Freedom
    subject: Subject
    x: Tensor
    labels: Tensor

    def rows(self, rows: Tensor) -> "Asked":
        """Return it for some of the rows."""
        return self._replace(x=self.x[rows], labels=self.labels[rows], freedom=self.freedom.rows(rows))


def ask(model: Any, table: Any, y: Any, *, names: Sequence[str], who: str, **free: Any) -> Asked:
    """Read the arguments of `robustness`; without labels, the model's predictions are used.

    Args:
        model: As in `robustness`.
        table: The rows.
        y: A label per row, or None.
        names: Names of the columns of an array.
        who: Name at the beginning of errors.
        **free: `radius`, `changes`, `unit`, `norm`, `limits` and `rules`.

    Raises:
        InputError: If one is invalid.
    """
    changes = free.pop("changes") or {}
    columns = Columns.of(table, names=names, split=tuple(changes), who=who)
    freedom = read_freedom(columns, changes=changes, **free)
    subject = subject_of(model, columns, () if y is None else y, freedom.moves, who=who)
    x = torch.from_numpy(columns.matrix())
    if y is None:
        with torch.no_grad():
            return Asked(columns, freedom, subject, x, subject.module(x).argmax(1))
    return Asked(columns, freedom, subject, x, subject.numbers(y, columns.num_rows, who=who))


@with_gradients()
def search(asked: Asked, *, budget: Budget, num_mean: int, seed: int) -> Found:
    """Search for the least legal change of each row that leads to another prediction than its label.

    First every column is tried alone; then attacks change several columns at once. Columns that a change does not need
    are put back, and the rest is shortened.

    Args:
        asked: The model, the rows and what may change.
        budget: Which attacks: `quick`, `standard` or `thorough`.
        num_mean: Random legal points per row, at least 0.
        seed: Seed of all draws.
    """
    subject, freedom, x, y = asked.subject, asked.freedom, asked.x, asked.labels
    with torch.no_grad(), evaluating(subject.module):
        right = subject.module(x).argmax(1) == y
        alone = scan(subject.module, x, y, freedom)
    points, means = alone.points.clone(), []
    is_open = right & (points == x).all(1)
    worst = WorstCase(balls=(freedom.ball,), budget=budget, num_mean=num_mean)
    classes = tuple(map(str, range(len(subject.classes))))
    split = TensorSplit(x, y, classes=classes, box=None, features=freedom.space.features)
    engine = Engine.start(device="cpu")
    state = worst.prepare(subject.searched, split, space=freedom.space, seed=seed, engine=engine)
    for rows in torch.arange(len(x)).split(_rows_at_once(subject, x.shape[1])):
        rng = RowStreams(derive_seed(seed, "robustness"), rows, device=engine.device)
        if num_mean:
            with torch.no_grad(), evaluating(subject.searched):
                own, draws = freedom.of_rows(rows), rng.named("mean")
                means.append(worst.mean_over(subject.module, x[rows], y[rows], own, space=freedom.space, rng=draws))
        some = is_open[rows]
        if some.any():
            points[rows[some]] = _attacked(
                asked, rows[some], budget=budget, state=state, rng=rng.subset(some.nonzero()[:, 0])
            )
    with torch.no_grad(), evaluating(subject.module):
        points = least_changes(subject.module, x, y, torch.where(right[:, None], points, x), freedom.rules)
    return Found(x, points, alone.shares, torch.cat(means) if means else x.new_zeros(0))


def _attacked(asked: Asked, rows: Tensor, *, budget: Budget, state: Any, rng: RowStreams) -> Tensor:
    """Return a wrong legal point of some rows, or the row itself."""
    subject, freedom, x, y = asked.subject, asked.freedom, asked.x[rows], asked.labels[rows]
    attacks = _attacks(subject, budget, freedom.ball, x.shape[1])
    worst = WorstCase(balls=(freedom.of_rows(rows),), budget=budget, attacks=attacks, num_mean=0)
    with torch.no_grad(), evaluating(subject.searched):
        (found,) = worst.points(subject.searched, x, y, space=freedom.space, state=state, rng=rng).values()
        # The prediction of the user's model counts, not that of the module with gradients.
        is_wrong = found.success & (subject.module(found.points).argmax(1) != y)
    return torch.where(is_wrong[:, None], found.points, x)


def _attacks(subject: Subject, budget: Budget, ball: Ball, num_inputs: int) -> tuple[Attack, ...]:
    """Return the attacks on a model without gradients; empty means the attacks of the budget.

    If there are not too many columns, one coordinate search gets all queries of a budget: it flips more rows than the
    three attacks of `queries_of`, and queries many points at once instead of one by one.
    """
    queries = 3 * QUERIES[budget]
    if is_differentiable(subject.searched) or num_inputs > queries / LEAST_ROUNDS:
        return ()
    return (CoordinateSearch(ball=ball, num_queries=queries),)


def _rows_at_once(subject: Subject, num_inputs: int) -> int:
    """Return how many rows are searched together: a round without gradients holds many points of each."""
    if is_differentiable(subject.searched):
        return ROWS_AT_ONCE
    return max(FEWEST_ROWS, min(ROWS_AT_ONCE, CELLS_AT_ONCE // num_inputs**2))
