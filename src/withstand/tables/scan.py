"""Scan: legal changes of one column at a time, which are the easiest to explain."""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from withstand.perturbations.ball import Ball, legal
from withstand.tables.freedom import Freedom
from withstand.tables.least import lead

SHARES = (0.25, 0.5, 0.75, 1.0)  # of the radius of a column of numbers, in both directions
CELLS_AT_ONCE = 2**21  # numbers of tried rows in memory


class Scan(NamedTuple):
    """What changes of a single column do.

    Attributes:
        points: The row with the smallest change of one column that flips it (row, input); the row itself without one.
        shares: The smallest tried share of the radius at which the column alone flips the row (row, column): 1 for a
            category, infinity where it does not.
    """

    points: Tensor
    shares: Tensor


def scan(model: nn.Module, x: Tensor, y: Tensor, freedom: Freedom) -> Scan:
    """Try changes of each column that may move, alone, at a few shares of its radius.

    Args:
        model: Maps rows of the matrix to logits.
        x: The rows (row, input).
        y: The numbers of their labels.
        freedom: What may move.
    """
    fields = freedom.rules.fields
    found = Scan(x.clone(), torch.full((len(x), len(fields)), torch.inf, dtype=x.dtype))
    best = torch.full((len(x),), torch.inf, dtype=x.dtype)
    size = max(1, CELLS_AT_ONCE // (x.shape[1] * 2 * len(SHARES)))
    for rows in torch.arange(len(x)).split(size):
        ball = freedom.of_rows(rows)
        for number, field in enumerate(fields):
            tried, shares = _changes_of(x[rows], list(field.inputs), ball, freedom)
            if not len(tried):
                continue
            row, change = (tried != x[rows]).any(2).T.nonzero(as_tuple=True)
            flips = torch.full(tried.shape[:2], torch.inf, dtype=x.dtype).T.contiguous()
            is_flip = lead(model, tried[change, row], y[rows[row]]) > 0
            flips[row[is_flip], change[is_flip]] = shares.expand(tried.shape[:2]).T[row[is_flip], change[is_flip]]
            smallest, place = flips.min(1)
            found.shares[rows, number] = smallest
            nearer = smallest < best[rows]
            found.points[rows[nearer]] = tried[place, torch.arange(len(rows))][nearer]
            best[rows] = torch.minimum(best[rows], smallest)
    return found


def _changes_of(x: Tensor, inputs: list[int], ball: Ball, freedom: Freedom) -> tuple[Tensor, Tensor]:
    """Return legal points (change, row, input) in which one column differs, small changes first, and their shares."""
    space = freedom.space
    radii = torch.as_tensor(ball.radii(x, space=space), dtype=x.dtype).expand(x.shape)
    options = ball.options(x, space=space)
    tried, shares = [], []
    for each in options:
        if set(each.inputs) <= set(inputs):
            for pick in range(each.num):
                points = x.clone()
                each.put(points, torch.full((len(x),), pick))
                tried.append(points)
                shares.append(1.0)
    if len(inputs) == 1 and (radii[:, inputs[0]] > 0).any():
        for share in SHARES:
            for sign in (1.0, -1.0):
                points = x.clone()
                points[:, inputs[0]] += sign * share * radii[:, inputs[0]]
                tried.append(points)
                shares.append(share)
    legal_ones = [legal(x, each, norm=ball.norm, radii=radii, options=options, rules=freedom.rules) for each in tried]
    stacked = torch.stack(legal_ones) if tried else x.new_zeros(0, *x.shape)
    return stacked, torch.tensor(shares, dtype=x.dtype)[:, None]
