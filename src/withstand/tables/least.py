"""Least changes: shrink points that flip a prediction to few changed columns, then to small changes."""

import torch
from torch import Tensor, nn

from withstand.data.tables.rules import Rules

HALVINGS = 10  # of a column's displacement
ROUNDS = 30
AT_ONCE = 16384


def least_changes(model: nn.Module, x: Tensor, y: Tensor, points: Tensor, rules: Rules) -> Tensor:
    """Return points that still flip the prediction, with fewer columns changed, and by less.

    Columns are put back one at a time, greedily: the one whose removal leaves the largest lead of a wrong class. Then
    each remaining displacement is shortened by bisection.

    Args:
        model: Maps rows of the matrix to logits.
        x: The rows (batch, input).
        y: The numbers of their labels (batch,).
        points: Wrong legal points around them; rows without one stay as they are.
        rules: The rules of the table.
    """
    found = points.clone()
    active = (lead(model, found, y) > 0) & (found != x).any(1)
    for _ in range(ROUNDS):
        rows = active.nonzero()[:, 0]
        if not len(rows):
            break
        tried, margins = _without_each(model, x[rows], y[rows], found[rows], rules)
        best = margins.argmax(1)
        works = margins.gather(1, best[:, None])[:, 0] > 0
        found[rows[works]] = tried[torch.arange(len(rows)), best][works]
        active[rows[~works]] = False
    return _shorter(model, x, y, found, rules)


def _without_each(model: nn.Module, x: Tensor, y: Tensor, points: Tensor, rules: Rules) -> tuple[Tensor, Tensor]:
    """Return the points with one column put back, and by how much they are wrong: -inf where nothing changes."""
    tried = points[:, None].repeat(1, len(rules.fields), 1)
    for number, each in enumerate(rules.fields):
        inputs = list(each.inputs)
        tried[:, number, inputs] = x[:, inputs]
    own = x.repeat_interleave(len(rules.fields), 0)
    tried = rules.repair(own, tried.flatten(0, 1), lambda each: (each != own).any(1)).view_as(tried)
    count = (tried != x[:, None]).sum(2)
    fewer = (count > 0) & (count < (points != x).sum(1, keepdim=True))
    margins = torch.full(fewer.shape, -torch.inf, dtype=x.dtype)
    row, column = fewer.nonzero(as_tuple=True)
    margins[row, column] = lead(model, tried[row, column], y[row])
    return tried, margins


def _shorter(model: nn.Module, x: Tensor, y: Tensor, points: Tensor, rules: Rules) -> Tensor:
    """Return points whose numbers are nearer to those of the rows."""
    inputs = torch.tensor([each.inputs[0] for each in rules.fields if each.levels is None], dtype=torch.int64)
    found, order = points.clone(), torch.arange(len(inputs))
    last = torch.full((len(x),), -1)  # the column of each row whose turn it was
    while len(rows := (left := (found != x)[:, inputs] & (order > last[:, None])).any(1).nonzero()[:, 0]):
        last[rows] = left[rows].int().argmax(1)
        at = torch.arange(len(rows)), inputs[last[rows]]
        own, start = x[rows], found[rows]
        low, high = torch.zeros(len(rows), dtype=x.dtype), torch.ones(len(rows), dtype=x.dtype)
        for _ in range(HALVINGS):
            share = (low + high) / 2
            tried = start.clone()
            tried[at] = own[at] + share * (start[at] - own[at])
            tried = rules.repair(own, tried, lambda points, own=own: (points != own).any(1))
            is_right = lead(model, tried, y[rows]) > 0
            high, low = torch.where(is_right, share, high), torch.where(is_right, low, share)
            found[rows[is_right]] = tried[is_right]
    return found


def lead(model: nn.Module, points: Tensor, y: Tensor) -> Tensor:
    """Return by how much the best other class leads the label, in logits; 0 for a tie."""
    found = []
    for part, own in zip(points.split(AT_ONCE), y.split(AT_ONCE), strict=True) if len(points) else ():
        logits = model(part).double()
        label = logits.gather(1, own[:, None])[:, 0]
        found.append(logits.scatter(1, own[:, None], -torch.inf).amax(1) - label)
    return torch.cat(found) if found else points.new_zeros(0)
