"""Random gamma, beta and Dirichlet numbers from any source."""

import torch
from jaxtyping import Float
from torch import Tensor

from withstand.functional.random import Rng, normal, uniform
from withstand.functional.tensors import Device, PerRow

# Candidates per number; each is accepted with a probability above 0.95, so that all fail once in 10^20 numbers.
_CANDIDATES = 16
_SMALLEST = 1e-30


def dirichlet(
    batch: int, parts: int, alpha: float, *, rng: Rng, device: Device | None = None
) -> Float[Tensor, "batch part"]:
    """Return random shares of the parts of a whole, symmetric Dirichlet; alpha 1 is uniform.

    Args:
        batch: Number of rows.
        parts: Number of parts, at least 1.
        alpha: Concentration, above 0: small ones give nearly all to one part, large ones equal shares.
        rng: The source.
        device: Where the result is.

    Example:
        >>> from withstand.functional.random import stream
        >>> dirichlet(2, 3, 1.0, rng=stream(0, "x")).sum(1)
        tensor([1., 1.])
    """
    return _log_gamma(batch, parts, alpha, rng=rng, device=device).softmax(1)


def beta(batch: int, alpha: float, *, rng: Rng, device: Device | None = None) -> PerRow:
    """Return one random number per row in [0, 1], symmetric beta; alpha 1 is uniform."""
    return dirichlet(batch, 2, alpha, rng=rng, device=device)[:, 0]


def _log_gamma(
    batch: int, count: int, alpha: float, *, rng: Rng, device: Device | None
) -> Float[Tensor, "batch {count}"]:
    alpha = min(max(alpha, _SMALLEST), 1 / _SMALLEST)  # beyond these, float32 overflows, and shares do not change
    # Marsaglia, Tsang: "A Simple Method for Generating Gamma Variables", 2000, for alpha + 1; then a power of a uniform
    # number brings it to alpha. Logarithms do not underflow for small alpha.
    last = torch.log1p(-uniform((batch, count), rng=rng, device=device))
    if alpha == 1:
        return (-last).clamp_(min=1e-30).log_()
    d = alpha + 1 - 1 / 3
    z = normal((batch, count, _CANDIDATES), rng=rng, device=device)
    u = uniform((batch, count, _CANDIDATES), rng=rng, device=device)
    v = (1 + z / (9 * d) ** 0.5).clamp(min=1e-30) ** 3
    accepted = torch.log1p(-u) < z * z / 2 + d * (1 - v + v.log())
    first = accepted.float().argmax(2, keepdim=True)
    return (d * v.gather(2, first)).log()[..., 0] + last / alpha
