"""Points of an lp ball around the origin: projection, uniform samples, steepest ascent, distance."""

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from withstand.functional.random import Rng, normal, uniform

Norm = Literal["l1", "l2", "linf"]
Points = Float[Tensor, "batch *feature"]


def distance(delta: Points, norm: Norm) -> Float[Tensor, " batch"]:
    """Return the norm of each row.

    Example:
        >>> distance(torch.tensor([[3.0, -4.0]]), "l1"), distance(torch.tensor([[3.0, -4.0]]), "l2")
        (tensor([7.]), tensor([5.]))
    """
    flat = delta.flatten(1)
    order = {"l1": 1, "l2": 2, "linf": torch.inf}[norm]
    return torch.linalg.vector_norm(flat, order, dim=1)


def project(delta: Points, norm: Norm, radius: float) -> Points:
    """Return for each row the nearest point (in the l2 sense) with norm at most the radius.

    Args:
        delta: Displacements from the centre.
        norm: The ball's norm.
        radius: At least 0, in the units of delta.

    Source:
        l1: Duchi, Shalev-Shwartz, Singer, Chandra: "Efficient Projections onto the l1-Ball", ICML 2008, figure 1.

    Example:
        >>> project(torch.tensor([[3.0, -4.0]]), "l2", 1.0)
        tensor([[ 0.6000, -0.8000]])
    """
    if norm == "linf":
        return delta.clamp(-radius, radius)
    flat = delta.flatten(1)
    if norm == "l2":
        length = torch.linalg.vector_norm(flat, dim=1, keepdim=True)
        return (flat * (radius / length.clamp_min(1e-30)).clamp_max(1.0)).view_as(delta)
    size = flat.abs()
    ordered = size.sort(dim=1, descending=True).values
    count = torch.arange(1, flat.shape[1] + 1, device=flat.device, dtype=flat.dtype)
    excess = (ordered.cumsum(1) - radius) / count
    last = (ordered > excess).sum(1, keepdim=True).clamp_min(1) - 1
    threshold = excess.gather(1, last).clamp_min(0.0)
    return (flat.sign() * (size - threshold).clamp_min(0.0)).view_as(delta)


def sample(
    shape: tuple[int, ...], norm: Norm, radius: float, *, rng: Rng, device: torch.device | str | None = None
) -> Points:
    """Return points uniform in the ball, one per row.

    Args:
        shape: (batch, *feature).
        norm: The ball's norm.
        radius: At least 0.
        rng: Source of randomness.
        device: Where the points are wanted; None leaves them where they were drawn.

    Returns:
        Points whose norm relative to the radius follows r^d in d dimensions.

    Source:
        Barthe, Guedon, Mendelson, Naor: "A probabilistic approach to the geometry of the l_p^n-ball", 2005, theorem 1.
    """
    batch, size = shape[0], max(1, torch.Size(shape[1:]).numel())
    if norm == "linf":
        return radius * (2 * uniform(shape, rng=rng, device=device) - 1)
    if norm == "l2":
        direction = normal((batch, size), rng=rng, device=device)
        scale = uniform((batch, 1), rng=rng, device=device) ** (1 / size)
        point = direction / torch.linalg.vector_norm(direction, dim=1, keepdim=True) * scale
    else:
        # Exponentials divided by their sum and one more exponential are uniform in the simplex 0 <= sum <= 1.
        exponential = -torch.log1p(-uniform((batch, size + 1), rng=rng, device=device))
        sign = (uniform((batch, size), rng=rng, device=device) < 0.5).float() * 2 - 1
        point = sign * exponential[:, :size] / exponential.sum(1, keepdim=True)
    return (radius * point).view(shape)


def uphill(gradient: Points, norm: Norm) -> Points:
    """Return the step of norm 1 along which a linear function with this gradient grows most.

    Example:
        >>> uphill(torch.tensor([[3.0, -4.0]]), "linf")
        tensor([[ 1., -1.]])
        >>> uphill(torch.tensor([[3.0, -4.0]]), "l1")
        tensor([[ 0., -1.]])
    """
    flat = gradient.flatten(1)
    if norm == "linf":
        step = flat.sign()
    elif norm == "l2":
        step = flat / torch.linalg.vector_norm(flat, dim=1, keepdim=True).clamp_min(1e-30)
    else:
        steepest = flat.abs().argmax(1, keepdim=True)
        step = torch.zeros_like(flat).scatter(1, steepest, flat.gather(1, steepest).sign())
    return step.view_as(gradient)
