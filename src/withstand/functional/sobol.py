"""Scrambled Sobol sequences in the cube and in balls."""

from functools import lru_cache
from typing import assert_never

import torch
from jaxtyping import Float
from torch import Tensor
from torch.quasirandom import SobolEngine

from withstand.functional.balls import Norm
from withstand.functional.random import Rng, integers
from withstand.functional.tensors import Device

BITS = 23  # whole numbers and a half below this power are exact in 32 bits


def sobol(
    batch: int, dimension: int, *, num_draws: int, rng: Rng, device: Device | None = None
) -> Float[Tensor, "batch draw dimension"]:
    """Return points of the unit cube: each is uniform, the points of a row together fill the cube evenly.

    All rows share one scrambled sequence, of which each has a random digital shift of its own.

    Args:
        batch: Number of rows.
        dimension: Dimension of the cube, up to 21,201.
        num_draws: Points per row; powers of two are the most even.
        rng: Source of the shifts.
        device: Where the points are wanted.

    Returns:
        Values in (0, 1).

    Source:
        Sobol 1967; Owen: "Randomly permuted (t,m,s)-nets and (t,s)-sequences", 1995; digital shifts as in Lemieux:
        "Monte Carlo and Quasi-Monte Carlo Sampling", 2009, section 6.2.
    """
    shift = integers((batch, 1, dimension), 0, 2**BITS, rng=rng, device=device)
    whole = _sequence(dimension, num_draws).to(shift.device)
    return ((whole ^ shift).float() + 0.5) / 2**BITS


def ball_from_cube(
    cube: Float[Tensor, "*batch dimension"], norm: Norm, *, moving: Float[Tensor, "*row feature"] | None = None
) -> Float[Tensor, "*batch feature"]:
    """Return points of the ball of radius 1 from points of a cube: uniform ones from uniform ones.

    Args:
        cube: Values in (0, 1); one more per point than features for l1 and l2, as many for linf.
        norm: The ball's norm.
        moving: 1 for a feature that moves, 0 for one that stays at 0; the ball is that of the others. None means that
            all move.
    """
    if norm == "linf":
        return 2 * cube - 1 if moving is None else (2 * cube - 1) * moving
    direction, scale = cube[..., :-1], cube[..., -1:]
    if norm == "l2":
        direction = torch.erfinv(2 * direction - 1)
        direction = direction if moving is None else direction * moving
        length = torch.linalg.vector_norm(direction, dim=-1, keepdim=True)
    elif norm == "l1":
        centred = 2 * direction - 1
        direction = -centred.sign() * torch.log1p(-centred.abs())
        direction = direction if moving is None else direction * moving
        length = direction.abs().sum(-1, keepdim=True)
    else:
        assert_never(norm)
    dimensions = direction.shape[-1] if moving is None else moving.sum(-1, keepdim=True).clamp_min(1)
    return direction / length.clamp_min(1e-30) * scale ** (1 / dimensions)


@lru_cache(maxsize=16)
def _sequence(dimension: int, count: int) -> Tensor:
    points = SobolEngine(dimension, scramble=True, seed=0).draw(count)
    return (points.double() * 2**BITS).long().clamp_(0, 2**BITS - 1)
