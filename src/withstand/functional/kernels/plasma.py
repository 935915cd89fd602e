"""Plasma fractals by midpoint displacement."""

from math import isqrt

import torch
from jaxtyping import Float
from torch import Tensor


def plasma(u: Float[Tensor, "batch numbers"], *, decay: float) -> Float[Tensor, "batch side side"]:
    r"""Return square maps of clouds in [0, 1] from uniform numbers; opposite sides of a map fit each other.

    The map begins as one value and doubles its side level by level. First the middle of every square becomes the
    mean of its four corners, then the middle of every edge the mean of its two ends and of the two middles next to
    it, each plus noise; at the end the lowest value becomes 0 and the highest 1.

    .. math:: \text{new} = \text{mean} + (2 u - 1) / d^{2 k} \quad \text{at level } k = 0, 1, \ldots

    Args:
        u: Numbers in [0, 1], one per value but the first; the side is a power of two, at least 2. Level by level:
            of the squares, of the edges that go to the right, of those that go down, each row by row.
        decay: Root d of the factor by which the noise grows smaller from one level to the next, > 0.

    Source:
        Fournier, Fussell, Carpenter: "Computer rendering of stochastic models", CACM 1982; hendrycks/robustness,
        ImageNet-C/create_c/make_imagenet_c.py, `plasma_fractal`, where the square comes from a factor that is used
        twice.

    Example:
        >>> plasma(torch.tensor([[1.0, 0.5, 0.0]]), decay=2.0)
        tensor([[[0.3333, 0.6667],
                 [0.0000, 1.0000]]])
    """
    batch, side = len(u), isqrt(u.shape[1] + 1)
    corners, first, noise = u.new_zeros(batch, 1, 1), 0, 1.0
    while (n := corners.shape[-1]) < side:
        squares, right, down = u[:, first : first + 3 * n * n].reshape(batch, 3, n, n).unbind(1)
        fine = u.new_empty(batch, n, 2, n, 2)
        across, along = corners + torch.roll(corners, -1, -1), corners + torch.roll(corners, -1, -2)
        middle = _displace(across + torch.roll(across, -1, -2), squares, noise)
        fine[:, :, 0, :, 0], fine[:, :, 1, :, 1] = corners, middle
        fine[:, :, 0, :, 1] = _displace(across.add_(middle).add_(torch.roll(middle, 1, -2)), right, noise)
        fine[:, :, 1, :, 0] = _displace(along.add_(middle).add_(torch.roll(middle, 1, -1)), down, noise)
        corners, first, noise = fine.view(batch, 2 * n, 2 * n), first + 3 * n * n, noise / decay**2
    lowest, highest = corners.amin((-2, -1), keepdim=True), corners.amax((-2, -1), keepdim=True)
    return corners.sub_(lowest).div_(highest - lowest)


def _displace(
    total: Float[Tensor, "batch n n"], u: Float[Tensor, "batch n n"], noise: float
) -> Float[Tensor, "batch n n"]:
    return total.mul_(0.25).sub_(noise).add_(u, alpha=2 * noise)
