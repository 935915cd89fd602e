"""Largest regression error in a ball, found by several attacks."""

import torch
from torch import Tensor, nn

from withstand.data.space import Space
from withstand.errors import InputError
from withstand.functional.random import row_streams
from withstand.models.frozen import evaluating
from withstand.perturbations.attacks.budgets import Budget
from withstand.perturbations.attacks.pgd import PGD
from withstand.perturbations.attacks.tilted import Tilted
from withstand.perturbations.attacks.vertices import Vertices
from withstand.perturbations.ball import Ball
from withstand.perturbations.base import Perturbation

MOST_VERTICES = 4096
POINTS_AT_ONCE = 16384
NUM_TILTED = 64
# By budget: steps and restarts of the ascent, and whether the vertices are tried.
SPENT: dict[Budget, tuple[int, int, bool]] = {
    "quick": (20, 1, False),
    "standard": (40, 3, True),
    "thorough": (100, 10, True),
}


@torch.no_grad()
def worst_errors(
    model: nn.Module,
    x: Tensor,
    y: Tensor,
    *,
    ball: Ball,
    space: Space,
    budget: Budget,
    seed: int,
) -> Tensor:
    """Return the error of largest magnitude that attacks find for every row, or the clean error.

    The attacks are projected gradient ascent, the vertices of the ball if there are at most 4,096, and, for linf,
    tilted points. A row's randomness derives from the seed and its number.
    """
    steps, restarts, vertices = SPENT[budget]
    ascent = PGD(ball=ball, steps=steps, loss="squared_error")
    # Every restart has its own random numbers, so more restarts only add points.
    attacks: list[tuple[Perturbation, int, int]] = [(ascent, 1, start) for start in range(restarts)]
    count = _count(ball, x, space) if vertices else 0
    if count:
        attacks.append((Vertices(ball=ball), count, 0))
    if ball.norm == "linf":
        attacks.append((Tilted(ball=ball, temperature=0.01, loss="squared_error"), NUM_TILTED, 0))
    index = torch.arange(len(x))
    with evaluating(model):
        worst = model(x)[:, 0] - y
        for attack, num_draws, start in attacks:
            rng = row_streams(seed, "worst error", type(attack).__name__, start, index=index, device=x.device)
            for rows in index.split(max(1, POINTS_AT_ONCE // num_draws)):
                own = rng.subset(rows)
                draws = attack.draw(x[rows], y[rows], model, space=space, num_draws=num_draws, rng=own)
                found = model(draws.inputs.flatten(0, 1)).view(num_draws, len(rows)) - y[rows]
                errors = torch.cat([worst[None, rows], found])
                worst[rows] = errors.gather(0, errors.abs().argmax(0, keepdim=True))[0]
    return worst


def _count(ball: Ball, x: Tensor, space: Space) -> int:
    if ball.norm == "l2":
        return 0
    try:
        count = Vertices(ball=ball).count(x, space=space)
    except InputError:
        return 0
    return count if count <= MOST_VERTICES else 0
