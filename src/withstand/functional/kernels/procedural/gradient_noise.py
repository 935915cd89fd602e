"""Gradient noise of Perlin on a square lattice."""

from functools import lru_cache

import torch
from jaxtyping import Float, Int
from torch import Tensor

from withstand.functional.precision import in_double

PERIOD = 256  # of the lattice


def turbulence(
    height: int,
    width: int,
    permutation: Int[Tensor, "batch 256"],
    gradients: Float[Tensor, "batch 256 2"],
    *,
    cell: float,
    num_octaves: int,
) -> Float[Tensor, "batch height width"]:
    """Return the sum of |noise at frequency f| / f over the frequencies 1, 2, 4, ...; at least 0, in float64.

    Noise is 1.5 times the classic gradient noise, with t^2 (3 - 2 t) between points of the lattice.

    Args:
        height: Rows of the result.
        width: Columns of the result.
        permutation: A permutation of 0 to 255, which hashes the points of the lattice.
        gradients: Unit vectors (row, column).
        cell: Side of a cell of the lattice at frequency 1, in pixels.
        num_octaves: Number of frequencies.

    Source:
        Perlin: "An image synthesizer", SIGGRAPH 1985; the hashed lattice of its reference implementation.

    Example:
        >>> gradients = torch.tensor([[[0.0, 1.0]]]).expand(1, 256, 2)
        >>> turbulence(1, 4, torch.arange(256)[None], gradients, cell=4.0, num_octaves=1)
        tensor([[[0.0000, 0.1406, 0.0000, 0.1406]]], dtype=torch.float64)
    """
    gradients = in_double(gradients)
    permutation = permutation.to(gradients.device)
    total = gradients.new_zeros(len(gradients), height, width)
    for frequency in (2**octave for octave in range(num_octaves)):
        down, down_apart = _toward(height, frequency / cell, gradients.device)
        across, across_apart = _toward(width, frequency / cell, gradients.device)
        lattice = _lattice(permutation, gradients, down.shape[1], across.shape[1])
        # Per pixel only two rows and two columns of the lattice have weights, so the order of a sum hardly counts.
        noise = down_apart @ lattice[..., 0] @ across.mT + down @ lattice[..., 1] @ across_apart.mT
        total += noise.abs_().mul_(1.5 / frequency)
    return total


def _lattice(
    permutation: Int[Tensor, "batch 256"], gradients: Float[Tensor, "batch 256 2"], rows: int, columns: int
) -> Float[Tensor, "batch rows columns 2"]:
    # The gradient at every point of the lattice.
    down, across = (torch.arange(count, device=permutation.device) % PERIOD for count in (rows, columns))
    places = (permutation[:, down, None] + across) % PERIOD
    hashed = permutation.gather(1, places.flatten(1))[..., None].expand(-1, -1, 2)
    return gradients.gather(1, hashed).view(-1, rows, columns, 2)


@lru_cache(maxsize=32)
def _toward(
    size: int, step: float, device: torch.device
) -> tuple[Float[Tensor, "{size} points"], Float[Tensor, "{size} points"]]:
    # Along one axis the weight of each point of the lattice for a pixel, and the weight times the way to the pixel.
    place = torch.arange(size, dtype=torch.float64) * step
    first = place.floor()
    share = place - first
    near = torch.stack([first, first + 1], 1).long()
    smooth = share.square() * (3 - 2 * share)
    weights = torch.stack([1 - smooth, smooth], 1)
    matrix = torch.zeros(size, int(near.max()) + 1, dtype=torch.float64)
    apart = weights * torch.stack([share, share - 1], 1)
    return matrix.scatter(1, near, weights).to(device), matrix.scatter(1, near, apart).to(device)
