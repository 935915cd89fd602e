"""Noise scaled to a given l2 distance after clipping."""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from withstand.functional.tensors import Points

MAX_STEPS = 100
# Steps between two looks at whether all rows have arrived: a look makes a GPU wait.
STEPS_PER_LOOK = 6
VALUES_AT_ONCE = 2**17


def move_to_distance(x: Points, noise: Points, radius: float, *, box: tuple[float, float] | None) -> Points:
    r"""Return each row moved along its noise until its l2 distance, after clipping to the box, is the radius.

    .. math:: x' = \mathrm{clip}(x + \eta \delta), \ \eta \ge 0 : \ \lVert x' - x \rVert_2 = r

    Differentiable with respect to the noise, also through eta. In float32, also under autocast.

    Args:
        x: Inputs inside the box.
        noise: Directions; their lengths do not matter.
        radius: r > 0, in the units of x.
        box: Lowest and highest value; None does not clip.

    Returns:
        To about 1e-6 of the radius at its distance. Rows that reach the walls of the box everywhere before are
        returned there, nearer than the radius, and have no gradient.

    Source:
        Rusak et al. 2020, arXiv 2001.06057, section 3.2: noise is scaled to its length after clipping.
        Differs: Newton's method in eta squared instead of sorting all values. The squared distance is concave and
        piecewise linear in eta squared, so the steps from 0 approach the solution from one side and end at it.

    Example:
        >>> move_to_distance(torch.tensor([[0.5, 0.9]]), torch.tensor([[1.0, 1.0]]), 0.3, box=(0.0, 1.0))
        tensor([[0.7828, 1.0000]])
    """
    with torch.autocast(x.device.type, enabled=False):
        low, high = (-torch.inf, torch.inf) if box is None else box
        moved = _Move.apply(x.detach().float().flatten(1), noise.float().flatten(1), radius, low, high)
        return moved.view_as(x)  # pyright: ignore[reportAttributeAccessIssue]


class _Move(torch.autograd.Function):
    """The move, and its derivative by the implicit function theorem: eta keeps the distance."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, noise: Tensor, radius: float, low: float, high: float) -> Tensor:
        rows = _rows_at_once(x)
        moved = torch.empty_like(x)
        scale = x.new_empty(len(x), 1)
        for start in range(0, len(x), rows):
            part = slice(start, start + rows)
            moved[part], scale[part] = _move(x[part], noise[part], radius, low, high)
        ctx.save_for_backward(moved, noise, scale)
        ctx.box = low, high
        return moved

    @staticmethod
    @once_differentiable
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx: Any, gradient: Tensor
    ) -> tuple[None, Tensor, None, None, None]:
        moved, noise, scale = ctx.saved_tensors
        low, high = ctx.box
        rows = _rows_at_once(noise)
        back = torch.empty_like(noise)
        for start in range(0, len(noise), rows):
            part = slice(start, start + rows)
            free = ((moved[part] > low) & (moved[part] < high)).to(noise.dtype)
            along = free * noise[part]
            length = (along * noise[part]).sum(1, keepdim=True).clamp_min(1e-30)
            pull = (along * gradient[part]).sum(1, keepdim=True) / length
            torch.addcmul(gradient[part] * free, along, pull, value=-1, out=back[part])
            back[part] *= scale[part]
        return None, back, None, None, None


def _rows_at_once(x: Tensor) -> int:
    # On a CPU few enough to stay in its cache from step to step.
    return max(1, VALUES_AT_ONCE // max(1, x.shape[1]) if x.device.type == "cpu" else len(x))


def _move(x: Tensor, noise: Tensor, radius: float, low: float, high: float) -> tuple[Tensor, Tensor]:
    speed = noise.square()  # of the squared distance in eta squared, until the wall
    total = speed.sum(1).clamp_min(1e-30)
    square = radius**2 / total
    if high == torch.inf:
        return x + noise * square.sqrt()[:, None], square.sqrt()[:, None]
    most = torch.where(noise > 0, high - x, x - low).clamp_min_(0).square_().mul_(speed > 0)
    wall = most / speed  # eta squared at which a value reaches its wall; without noise it is not a number
    arrives = most.sum(1) > radius**2
    chosen = torch.empty_like(x)
    for step in range(1, MAX_STEPS + 1):
        slope = _dot(torch.gt(wall, square[:, None], out=chosen), speed)
        met = _dot(torch.le(wall, square[:, None], out=chosen), most)
        following = (radius**2 - met) / slope.clamp_min(1e-30)
        # A row that has arrived stays, however long others take: it does not depend on them.
        moves = arrives & (slope > 0) & (following > square * (1 + 1e-7))
        if (step % STEPS_PER_LOOK == 0 or x.device.type == "cpu") and not moves.any():
            break
        square = torch.where(moves, following, square)
    scale = torch.where(arrives, square, 0.0).sqrt()[:, None]  # without a gradient where the walls are nearer
    moved = torch.addcmul(x, noise, scale).clamp_(low, high)
    if not arrives.all():
        ends = torch.where(noise > 0, high, torch.where(noise < 0, low, x))
        moved = torch.where(arrives[:, None], moved, ends)
    return moved, scale


def _dot(one: Tensor, other: Tensor) -> Tensor:
    # Long rows come alone on a CPU: the product of vectors makes no temporary.
    alone = len(one) == 1 and one.shape[1] > VALUES_AT_ONCE // 2
    return torch.dot(one[0], other[0])[None] if alone else (one * other).sum(1)
