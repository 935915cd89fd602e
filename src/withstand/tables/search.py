"""Search: legal changes of a table's rows that flip the answers of a model."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from withstand.data.base import TensorSplit
from withstand.engine import Engine
from withstand.evaluation.worst_case import WorstCase
from withstand.functional.random import RowStreams, derive_seed
from withstand.models.black_box import is_differentiable
from withstand.models.frozen import evaluating, with_gradients
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
        points: Legal points with another answer, by the least change that was found; the row itself without one.
        shares: Shares of the radius at which a column alone flips a row; see `Scan`.
        means: Share of random legal points with the label, per row; empty without any.
    """

    x: Tensor
    points: Tensor
    shares: Tensor
    means: Tensor

    @property
    def is_flipped(self) -> Tensor:
        """Which rows have a point with another answer."""
        return (self.points != self.x).any(1)


class Asked(NamedTuple):
    """A question about a model and a table.

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

    def search(self, *, budget: Budget, num_mean: int, seed: int) -> Found:
        """Return the least change of each row; see `search`."""
        own = {"budget": budget, "num_mean": num_mean, "seed": seed}
        return search(self.subject, self.x, self.labels, self.freedom, **own)


def ask(model: Any, table: Any, y: Any, *, names: Sequence[str], who: str, **free: Any) -> Asked:
    """Read the arguments of `robustness`; without labels, the model's answers take their place.

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
def search(
    subject: Subject, x: Tensor, y: Tensor, freedom: Freedom, *, budget: Budget, num_mean: int, seed: int
) -> Found:
    """Search for a legal change of each row with another answer than its label, as small as possible.

    First every column is tried alone, then attacks change several at once; what they find loses the columns that it
    does not need, and the rest is shortened.

    Args:
        subject: The model.
        x: The rows (row, input).
        y: The numbers of their labels.
        freedom: What may move.
        budget: Which attacks.
        num_mean: Random legal points per row.
        seed: Of all draws.
    """
    with torch.no_grad(), evaluating(subject.module):
        right = subject.module(x).argmax(1) == y
        alone = scan(subject.module, x, y, freedom)
    points, means = alone.points.clone(), []
    is_open = right & (points == x).all(1)
    worst = WorstCase(balls=(freedom.ball,), budget=budget, num_mean=num_mean)
    split = TensorSplit(
        x, y, classes=tuple(map(str, range(len(subject.classes)))), box=None, features=freedom.space.features
    )
    engine = Engine.start(device="cpu")
    state = worst.prepare(subject.searched, split, space=freedom.space, seed=seed, engine=engine)
    for rows in torch.arange(len(x)).split(_rows_at_once(subject, x.shape[1])):
        rng = RowStreams(derive_seed(seed, "robustness"), rows, device=engine.device)
        own = freedom.of_rows(rows)
        with torch.no_grad(), evaluating(subject.searched):
            if num_mean:
                draws = rng.named("mean")
                means.append(worst.mean_over(subject.module, x[rows], y[rows], own, space=freedom.space, rng=draws))
        some = rows[is_open[rows]]
        if len(some):
            points[some] = _attacked(subject, x, y, some, freedom, budget=budget, seed=seed, state=state, engine=engine)
    with torch.no_grad(), evaluating(subject.module):
        points = least_changes(subject.module, x, y, torch.where(right[:, None], points, x), freedom.space)
    return Found(x, points, alone.shares, torch.cat(means) if means else x.new_zeros(0))


def _attacked(
    subject: Subject,
    x: Tensor,
    y: Tensor,
    rows: Tensor,
    freedom: Freedom,
    *,
    budget: Budget,
    seed: int,
    state: Any,
    engine: Engine,
) -> Tensor:
    """Return a wrong legal point of some rows, or the row itself."""
    rng = RowStreams(derive_seed(seed, "robustness"), rows, device=engine.device)
    attacks = _attacks(subject, budget, freedom.ball, x.shape[1])
    worst = WorstCase(balls=(freedom.of_rows(rows),), budget=budget, attacks=attacks, num_mean=0)
    with torch.no_grad(), evaluating(subject.searched):
        (found,) = worst.points(subject.searched, x[rows], y[rows], space=freedom.space, state=state, rng=rng).values()
        # The answer of the user's model decides, not that of a module that stands for it.
        is_wrong = found.success & (subject.module(found.points).argmax(1) != y[rows])
    return torch.where(is_wrong[:, None], found.points, x[rows])


def _attacks(subject: Subject, budget: Budget, ball: Ball, num_inputs: int) -> tuple[Attack, ...]:
    """Return the attacks on models without gradients; nothing stands for those of the budget.

    Tables without very many columns get one search with all queries of a budget: it breaks more rows than the three
    attacks of `queries_of`, and asks about many points at once, where the others ask one by one.
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
