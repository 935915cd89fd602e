"""Poisson counts from uniform numbers, by inversion."""

from functools import lru_cache

import torch
from jaxtyping import Float, Int
from torch import Tensor

from withstand.functional.precision import in_double

_OFF_GRID = 1e-3  # in levels of 8 bits
_LOWEST = 2.0**-25
# Of float32: the exponent of the lowest number as it is stored, and the bits behind the exponent.
_EXPONENT, _MANTISSA = 127 - 25, 23


def poisson_counts(x: Float[Tensor, "*shape"], u: Float[Tensor, "*shape"], *, scale: float) -> Float[Tensor, "*shape"]:
    r"""Return Poisson counts of rate x * scale: the smallest k whose distribution function exceeds u.

    .. math:: \min \{k : F(k) > u\}, \ F(k) = e^{-\lambda} \sum_{j \le k} \lambda^j / j!, \ \lambda = x c

    Values within a thousandth of a level of 8 bits count as that level, and counts for numbers in float32 are then
    looked up in a table. Elsewhere the terms are summed one by one, which gives the same numbers more slowly.

    Args:
        x: Values in [0, 1].
        u: In float32 numbers up to 1 - 2^-24, of which those below 2^-25 count as that; otherwise numbers from 0 to
            1 - 2^-40.
        scale: Largest rate c, above 0 and at most 700.

    Returns:
        Whole numbers, non-decreasing in u; to an error of 1e-13 in F, k has the probability that u lies in
        [F(k - 1), F(k)).

    Example:
        >>> poisson_counts(torch.full((3,), 1.0), torch.tensor([0.1, 0.5, 0.9]), scale=2.0)
        tensor([0., 2., 4.])
    """
    values, numbers = x.flatten(), u.flatten()
    scaled = values * 255
    level = scaled.round()
    distance = scaled.sub_(level).abs_()
    if u.dtype != torch.float32:
        wide = in_double(values)
        rate = torch.where((distance > _OFF_GRID).to(wide.device), wide, in_double(level) / 255) * scale
        return _summed_counts(rate, in_double(numbers), scale).reshape(x.shape).to(x)
    counts = _looked_up_counts(level.float(), numbers, scale).to(x.dtype)
    if len(distance) and distance.amax() > _OFF_GRID:
        between = (distance > _OFF_GRID).nonzero()[:, 0]
        rate = in_double(values[between]) * scale
        counts[between] = _summed_counts(rate, in_double(numbers[between]), scale).to(x)
    return counts.reshape(x.shape)


def _looked_up_counts(level: Float[Tensor, " n"], u: Float[Tensor, " n"], scale: float) -> Float[Tensor, " n"]:
    first, threshold, bits = _table(scale, u.device)
    # The nearer u is to 0 or 1, the narrower the cells are: one is named by the first bits of the distance.
    upper = u.round()
    cell = (u - upper).abs_().clamp_(min=_LOWEST).view(torch.int32).bitwise_right_shift_(_MANTISSA - bits)
    cell.add_(upper.add_(level, alpha=2).int(), alpha=_cells(bits))
    return threshold.index_select(0, cell).le_(u).add_(first.index_select(0, cell))


@lru_cache(maxsize=8)
def _table(scale: float, device: torch.device) -> tuple[Float[Tensor, " cell"], Float[Tensor, " cell"], int]:
    # Per level, half of the unit interval and cell: the count at its lowest number, and the number from which on it
    # is one more. As many cells as are needed so that the count never grows twice within one.
    level = torch.arange(256, dtype=torch.float64)[:, None]
    rate, steps = level / 255 * scale, torch.arange(1, _most(scale) + 1, dtype=torch.float64)
    distribution = torch.cat([torch.exp(-rate), rate / steps], dim=1).cumprod(1).cumsum(1)
    distribution[:, -1] = 1.5  # above every u
    bits = 1
    while (counts := _counts_at_ends(distribution, bits)).diff(dim=0).max() > 1:
        bits += 1
    first = counts[0]
    exact = distribution.gather(1, first.clamp(max=distribution.shape[1] - 1))
    threshold = exact.float()
    threshold = torch.where(threshold < exact, threshold.nextafter(torch.tensor(2.0)), threshold)
    unused = torch.zeros(_EXPONENT << bits)  # what the lowest number's bits name the first cell by
    first, threshold = (torch.cat([unused, each.float().flatten()]).to(device) for each in (first, threshold))
    return first, threshold, bits


def _counts_at_ends(distribution: Float[Tensor, "level count"], bits: int) -> Int[Tensor, "2 level cell"]:
    # Of the lowest and the highest number of every cell: those up to 1/2, then those above, by their distance to 1,
    # which is a multiple of 2^-24.
    start = (torch.arange(_cells(bits) + 1) + (_EXPONENT << bits)).int() << (_MANTISSA - bits)
    low, high = start[:-1].view(torch.float32), (start[1:] - 1).view(torch.float32).clamp(max=0.5)
    ends = (start.view(torch.float32).double() * 2**24).ceil()
    near, far = ends[:-1] / 2**24, (ends[1:] - 1) / 2**24
    numbers = torch.stack([torch.cat([low.double(), 1 - far]), torch.cat([high.double(), 1 - near])])
    levels = distribution.expand(2, -1, -1).contiguous()
    return torch.searchsorted(levels, numbers[:, None].expand(-1, len(distribution), -1).contiguous(), right=True)


def _cells(bits: int) -> int:
    # Of the 24 octaves from 2^-25 to 1/2, and one for 1/2 itself.
    return (24 << bits) + 1


def _summed_counts(rate: Float[Tensor, " n"], u: Float[Tensor, " n"], scale: float) -> Float[Tensor, " n"]:
    term = torch.exp(-rate)
    total, counts = term.clone(), torch.zeros_like(rate)
    for k in range(1, _most(scale) + 1):
        counts += total <= u
        term *= rate / k
        total += term
    return counts


def _most(scale: float) -> int:
    # Nine standard deviations above the mean, and what a skewed distribution needs besides: beyond it lies
    # less than the spacing of float64 below 1.
    return int(scale + 9 * scale**0.5 + 20)
