"""Poisson counts from uniform numbers, by inversion of the distribution function."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

# The distribution functions of all 256 levels lie in one ascending row, level l between 2 l and 2 l + 1: the
# gap keeps rounding from carrying a number near 1 over into the next level.
_GAP = 2
_CELLS = 256


def poisson_counts(x: Float[Tensor, "*shape"], u: Float[Tensor, "*shape"], *, scale: float) -> Int[Tensor, "*shape"]:
    r"""Return Poisson counts of rate x * scale: the smallest k whose distribution function exceeds u.

    .. math:: \min \{k : F(k) > u\}, \ F(k) = e^{-\lambda} \sum_{j \le k} \lambda^j / j!, \ \lambda = x c

    Values within a thousandth of a level of 8 bits count as that level and are looked up in a table. For
    others the terms are summed one by one, which gives the same numbers more slowly.

    Args:
        x: Values in [0, 1].
        u: Numbers from 0 to 1 - 2^-40, of any precision; all arithmetic is in float64.
        scale: Largest rate c, above 0 and at most 700.

    Returns:
        Non-decreasing in u; to an error of 1e-13 in F, k has the probability that u lies in [F(k - 1), F(k)).

    Example:
        >>> poisson_counts(torch.full((3,), 1.0), torch.tensor([0.1, 0.5, 0.9]), scale=2.0)
        tensor([0, 2, 4])
    """
    values, numbers = x.flatten(), u.flatten()
    level = (values * 255).round()
    counts = _counts_of_levels(level.int(), numbers, scale)
    between = ((values * 255 - level).abs() > 1e-3).nonzero()[:, 0]
    if len(between):
        counts[between] = _summed_counts(values[between].double() * scale, numbers[between].double(), scale)
    return counts.reshape(x.shape).long()


def _counts_of_levels(level: Int[Tensor, " n"], u: Float[Tensor, " n"], scale: float) -> Int[Tensor, " n"]:
    # A guide gives the first candidate for each of 256 parts of [0, 1). It is the count or the one below for
    # almost all; the search, five times slower, is for the rest.
    row = _row(scale, level.device)
    width = len(row) // 256
    first = torch.arange(256, dtype=torch.float64, device=level.device)[:, None] * _GAP
    parts = torch.arange(_CELLS, dtype=torch.float64, device=level.device) / _CELLS
    guide = torch.searchsorted(row, (first + parts).flatten(), right=True, out_int32=True)
    key = level.double().mul_(_GAP).add_(u)
    place = guide.index_select(0, torch.add((u * _CELLS).int(), level, alpha=_CELLS))
    place += row.index_select(0, place) <= key
    behind = (row.index_select(0, place) <= key).nonzero()[:, 0]
    place[behind] = torch.searchsorted(row, key[behind], right=True, out_int32=True)
    return place.sub_(level, alpha=width)


def _row(scale: float, device: torch.device) -> Float[Tensor, " entries"]:
    level = torch.arange(256, dtype=torch.float64, device=device)[:, None]
    rate, steps = level / 255 * scale, torch.arange(1, _most(scale) + 1, dtype=torch.float64, device=device)
    distribution = torch.cat([torch.exp(-rate), rate / steps], dim=1).cumprod(1).cumsum(1)
    distribution[:, -1] = 1.5  # above every u, so that no search leaves its level
    return (distribution + _GAP * level).flatten()


def _summed_counts(rate: Float[Tensor, " n"], u: Float[Tensor, " n"], scale: float) -> Int[Tensor, " n"]:
    term = torch.exp(-rate)
    total, counts = term.clone(), torch.zeros(len(rate), dtype=torch.int32, device=rate.device)
    for k in range(1, _most(scale) + 1):
        counts += total <= u
        term *= rate / k
        total += term
    return counts


def _most(scale: float) -> int:
    # Nine standard deviations above the mean, and what a skewed distribution needs besides: beyond it lies
    # less than the spacing of float64 below 1.
    return int(scale + 9 * scale**0.5 + 20)
