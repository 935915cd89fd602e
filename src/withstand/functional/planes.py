"""Shortest steps to a hyperplane inside a box."""

import torch
from torch import Tensor

from withstand.functional.balls import Flat, Norm
from withstand.functional.precision import in_double
from withstand.functional.tensors import PerRow

FAR = 1e30  # stands for no bound


def step_to_plane(u: Flat, gradient: Flat, value: PerRow, norm: Norm, low: Flat, high: Flat) -> Flat:
    """Return the shortest step along which a linear function gets to 0, with the end inside a box.

    Where the box is too small for that, the step leads to its nearest corner.

    Args:
        u: Where the steps begin, inside the box.
        gradient: Gradient of the function.
        value: Its value at u.
        norm: The norm of the step.
        low: Lowest coordinates; minus infinity without a bound.
        high: Highest coordinates.

    Source:
        Croce, Hein 2020, arXiv 1907.02044, section 2.2 and appendix, solved here by one sort.

    Example:
        >>> low, high = torch.tensor([[-9.0, -9.0]]), torch.tensor([[0.5, 9.0]])
        >>> step_to_plane(torch.zeros(1, 2), torch.tensor([[1.0, 1.0]]), torch.tensor([-2.0]), "linf", low, high)
        tensor([[0.5000, 1.5000]])
    """
    slope, value = -in_double(gradient), in_double(value)
    slope = slope * value.sign()[:, None]
    bound = torch.where(slope > 0, in_double(high - u), in_double(u - low)).clamp(0, FAR)
    size, missing = slope.abs(), value.abs()
    # Gradients may be tiny; their scale does not change the step.
    scale = size.amax(1).clamp_min(1e-300)
    size, missing = size / scale[:, None], missing / scale
    length = _greedy(size, bound, missing) if norm == "l1" else _in_step(size, bound, missing, norm)
    return (slope.sign() * length).to(u)


def _greedy(size: Tensor, bound: Tensor, missing: Tensor) -> Tensor:
    """Use the steepest features first, each up to its bound."""
    order = size.argsort(dim=1, descending=True, stable=True)
    steep, room = size.gather(1, order), bound.gather(1, order)
    gains = steep * room
    before = torch.cat([torch.zeros_like(gains[:, :1]), gains.cumsum(1)[:, :-1]], 1)
    left = (missing[:, None] - before).clamp_min(0)
    used = torch.where(steep > 0, torch.minimum(left / steep.clamp_min(1e-300), room), 0.0)
    return torch.zeros_like(used).scatter(1, order, used)


def _in_step(size: Tensor, bound: Tensor, missing: Tensor, norm: Norm) -> Tensor:
    """Move all features together, by equal amounts (linf) or in proportion to their slopes (l2), up to the bounds."""
    rate = torch.ones_like(size) if norm == "linf" else size
    until = torch.where(size > 0, bound / rate.clamp_min(1e-300), 0.0).clamp_max(FAR)
    ordered, order = until.sort(dim=1)
    gain = (size * rate).gather(1, order)
    active = gain.flip(1).cumsum(1).flip(1)  # gain per unit of time of the features that have not met their bounds
    before = torch.cat([torch.zeros_like(ordered[:, :1]), ordered[:, :-1]], 1)
    reached = (active * (ordered - before)).cumsum(1)
    at = (reached < missing[:, None]).sum(1, keepdim=True)
    is_short = at == size.shape[1]
    at = at.clamp_max(size.shape[1] - 1)
    over = reached.gather(1, at) - missing[:, None]
    so_far = reached.gather(1, at) - active.gather(1, at) * (ordered - before).gather(1, at)
    # A stretch without a bound is so long that going back on it would lose all digits.
    time = before.gather(1, at) + (missing[:, None] - so_far) / active.gather(1, at).clamp_min(1e-300)
    exact = ordered.gather(1, at) - over / active.gather(1, at).clamp_min(1e-300)
    time = torch.where(ordered.gather(1, at) < 1e6, exact, time)
    return torch.minimum(torch.where(is_short, FAR, time), until) * rate
