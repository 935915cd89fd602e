"""Balls of l1, l2 and linf: projection, uniform samples, steepest ascent, distance."""

from typing import assert_never

import torch
from jaxtyping import Float
from torch import Tensor

from withstand.conditions import Norm
from withstand.functional.precision import in_double
from withstand.functional.random import Rng, normal, uniform
from withstand.functional.tensors import Device, PerRow, Points

# A number, or a tensor that broadcasts to the displacements: the ball is then stretched along each feature by its
# radius, and a feature of radius 0 does not move.
Radius = float | Tensor
Flat = Float[Tensor, "batch feature"]


def distance(delta: Points, norm: Norm, radius: Radius = 1.0) -> PerRow:
    """Return the norm of each row in radii: at most 1 in the ball; infinity where a fixed feature has moved.

    Example:
        >>> distance(torch.tensor([[3.0, -4.0]]), "l1"), distance(torch.tensor([[3.0, -4.0]]), "l2", 10.0)
        (tensor([7.]), tensor([0.5000]))
    """
    relative = delta / radius
    # 0 / 0: a fixed feature that stayed.
    flat = torch.where(delta == 0, 0.0, relative).flatten(1)
    order = {"l1": 1, "l2": 2, "linf": torch.inf}[norm]
    return torch.linalg.vector_norm(flat, order, dim=1)


def project(delta: Points, norm: Norm, radius: Radius) -> Points:
    """Return for each row the nearest point of the ball.

    Args:
        delta: Displacements from the centre.
        norm: The ball's norm.
        radius: At least 0, in the units of delta. With one per feature, distances are measured in radii.

    Source:
        l1: Duchi, Shalev-Shwartz, Singer, Chandra: "Efficient Projections onto the l1-Ball", ICML 2008, figure 1.

    Example:
        >>> project(torch.tensor([[3.0, -4.0]]), "l2", 1.0)
        tensor([[ 0.6000, -0.8000]])
    """
    if isinstance(radius, Tensor):
        if norm == "linf":
            return torch.maximum(torch.minimum(delta, radius), -radius)
        return radius * project(torch.where(radius > 0, delta / radius, 0.0), norm, 1.0)
    if norm == "linf":
        return delta.clamp(-radius, radius)
    flat = delta.flatten(1)
    if norm == "l2":
        length = torch.linalg.vector_norm(flat, dim=1, keepdim=True)
        return (flat * (radius / length.clamp_min(1e-30)).clamp_max(1.0)).view_as(delta)
    if norm != "l1":
        assert_never(norm)
    extent = flat.abs()
    ordered = extent.sort(dim=1, descending=True).values
    count = torch.arange(1, flat.shape[1] + 1, device=flat.device, dtype=flat.dtype)
    excess = (ordered.cumsum(1) - radius) / count
    last = (ordered > excess).sum(1, keepdim=True).clamp_min(1) - 1
    threshold = excess.gather(1, last).clamp_min(0.0)
    return (flat.sign() * (extent - threshold).clamp_min(0.0)).view_as(delta)


def project_l1(delta: Flat, radius: float, low: Flat, high: Flat) -> Flat:
    """Return for each row the nearest point of the l1 ball within a box around 0.

    Shrinking all features by the same amount and clipping them gives the nearest point; its norm falls linearly between
    the amounts at which a feature reaches 0 or leaves its bound.

    Args:
        delta: Displacements from the centre.
        radius: At least 0.
        low: Lowest displacements, at most 0.
        high: Highest displacements, at least 0.

    Source:
        Croce, Hein 2021, arXiv 2103.01208, proposition 2.1.

    Example:
        >>> low, high = torch.tensor([[-9.0, -9.0]]), torch.tensor([[0.5, 9.0]])
        >>> project_l1(torch.tensor([[3.0, 2.0]]), 1.0, low, high)
        tensor([[0.5000, 0.5000]])
    """
    extent = in_double(delta.abs())
    bound = in_double(torch.where(delta > 0, high, -low))
    # From large amounts to small ones: a feature leaves 0 at its extent, and stops growing at its bound.
    amounts, order = torch.cat([extent, (extent - bound).clamp_min(0)], 1).sort(dim=1, descending=True)
    growing = torch.where(order < extent.shape[1], 1.0, -1.0).to(amounts).cumsum(1)
    last = torch.cat([amounts[:, 1:], torch.zeros_like(amounts[:, :1])], 1)
    norms = (growing * (amounts - last)).cumsum(1)
    at = (norms < radius).sum(1, keepdim=True)
    is_inside = at == amounts.shape[1]
    at = at.clamp_max(amounts.shape[1] - 1)
    # Beyond the radius at the end of a stretch: go back on it.
    back = (norms.gather(1, at) - radius) / growing.gather(1, at).clamp_min(1)
    amount = torch.where(is_inside, 0.0, last.gather(1, at) + back)
    size = torch.minimum((extent - amount).clamp_min(0), bound).to(delta)
    size = size * (radius / size.sum(1, keepdim=True).clamp_min(1e-30)).clamp_max(1)
    return delta.sign() * size


def sample(
    shape: tuple[int, ...],
    norm: Norm,
    *,
    num_draws: int,
    rng: Rng,
    device: Device | None = None,
    fixed: Tensor | None = None,
) -> Float[Tensor, "draw batch *feature"]:
    """Return points uniform in the ball of radius 1, several per row.

    Args:
        shape: (batch, *feature).
        norm: The ball's norm.
        num_draws: Points per row.
        rng: Source of randomness.
        device: Where the points are wanted; None leaves them where they were drawn.
        fixed: Which features do not move, of all rows or of each; the ball is that of the others. None means that all
            move.

    Returns:
        Points whose norm follows r^d in the d dimensions that move.

    Source:
        Barthe, Guedon, Mendelson, Naor: "A probabilistic approach to the geometry of the l_p^n-ball", 2005, theorem 1.
    """
    batch, length = shape[0], max(1, torch.Size(shape[1:]).numel())
    moving = None if fixed is None else (~fixed).reshape(-1, 1, length).to(torch.float32)
    if moving is not None and device is not None:
        moving = moving.to(device)
    if norm == "linf":
        point = uniform((batch, num_draws, length), rng=rng, device=device).mul_(2).sub_(1)
    elif norm == "l2":
        direction = normal((batch, num_draws, length), rng=rng, device=device)
        direction = direction if moving is None else direction * moving
        dimensions = length if moving is None else moving.sum(2, keepdim=True).clamp_min(1)
        scale = uniform((batch, num_draws, 1), rng=rng, device=device) ** (1 / dimensions)
        point = direction / torch.linalg.vector_norm(direction, dim=2, keepdim=True).clamp_min(1e-30) * scale
    elif norm == "l1":
        # Exponentials divided by their sum and one more exponential are uniform in the simplex 0 <= sum <= 1.
        exponential = -torch.log1p(-uniform((batch, num_draws, length + 1), rng=rng, device=device))
        if moving is not None:
            exponential[..., :length] *= moving
        sign = (uniform((batch, num_draws, length), rng=rng, device=device) < 0.5).float() * 2 - 1
        point = sign * exponential[..., :length] / exponential.sum(2, keepdim=True)
    else:
        assert_never(norm)
    if norm == "linf" and moving is not None:
        point = point * moving
    return point.transpose(0, 1).reshape(num_draws, *shape)


def uphill(gradient: Points, norm: Norm, radius: Radius = 1.0) -> Points:
    """Return the step to the ball's surface along which a linear function with this gradient grows most.

    Example:
        >>> uphill(torch.tensor([[3.0, -4.0]]), "linf")
        tensor([[ 1., -1.]])
        >>> uphill(torch.tensor([[3.0, -4.0]]), "l1", torch.tensor([2.0, 1.0]))
        tensor([[2., 0.]])
    """
    # In radii a feature counts by what its own radius can do.
    flat = (gradient * radius).flatten(1) if isinstance(radius, Tensor) else gradient.flatten(1)
    if norm == "linf":
        step = flat.sign()
    elif norm == "l2":
        # The squares of a confident network's gradient may underflow in 32 bits.
        flat = flat / flat.abs().amax(1, keepdim=True).clamp_min(torch.finfo(flat.dtype).tiny)
        step = flat / torch.linalg.vector_norm(flat, dim=1, keepdim=True).clamp_min(0.5)
    elif norm == "l1":
        steepest = flat.abs().argmax(1, keepdim=True)
        step = torch.zeros_like(flat).scatter(1, steepest, flat.gather(1, steepest).sign())
    else:
        assert_never(norm)
    return radius * step.view_as(gradient)
