"""Optimised lines below rectifiers."""

from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor

from withstand.certificates.activations import Lines, Rectifier
from withstand.certificates.bounds import Bounds

RATE, LAST_RATE = 0.2, 0.02  # of Adam, at first and at last
Signs = Mapping[int, Tensor]  # by node, signs of the inputs of a rectifier: 1, -1, or 0 where they are open


class Optimised(NamedTuple):
    """Lower bounds, (batch, row), and the lines of the last step."""

    bound: Tensor
    lines: dict[int, Lines]


def by_optimised_lines(bounds: Bounds, specification: Tensor, *, steps: int) -> Tensor:
    """Return lower bounds of linear functions (batch, row, output) of the outputs, the best of several slopes.

    Every row has its own slopes. They start where lines without optimisation have them, so the result is no looser.

    Args:
        bounds: Bounds of the intermediate values; not modified.
        specification: Coefficients of the functions.
        steps: Steps of Adam, at least 0.

    Source:
        Xu, Zhang, Wang, Wang, Jana, Lin, Hsieh 2021, arXiv 2011.13824 (alpha-CROWN).
        Differs: intermediate bounds are not optimised.
    """
    return optimised(bounds, specification, steps=steps).bound


def optimised(bounds: Bounds, specification: Tensor, *, steps: int, signs: Signs | None = None) -> Optimised:
    """Return the best bounds of several slopes, and of several multipliers of constraints on signs.

    Args:
        bounds: Bounds of the intermediate values, clipped to the signs.
        specification: Coefficients of the functions.
        steps: Steps of Adam, at least 0.
        signs: Known signs of rectifiers' inputs. A multiplier m >= 0 of each lowers the function by m |input|; the
            bound stays valid, and is tighter for suitable m.

    Source:
        Wang et al. 2021, arXiv 2103.06624 (beta-CROWN).
    """
    tuned = {number: _Tuned(bounds, number, specification.shape[1], signs) for number in rectifiers(bounds)}
    free = [each for one in tuned.values() for each in one.free]
    best = bounds.by_lines(specification)
    with torch.enable_grad():
        optimizer = torch.optim.Adam(free, lr=RATE) if free else None
        for step in range(steps if free else 0):
            assert optimizer is not None
            optimizer.param_groups[0]["lr"] = RATE * (LAST_RATE / RATE) ** (step / max(1, steps - 1))
            found = bounds.by_lines(specification, {number: each.lines() for number, each in tuned.items()})
            best = torch.maximum(best, found.detach())
            optimizer.zero_grad()
            (-found.sum()).backward(inputs=free)
            optimizer.step()
            for each in tuned.values():
                each.clip()
    with torch.no_grad():
        last = {number: each.lines() for number, each in tuned.items()}
        return Optimised(torch.maximum(best, bounds.by_lines(specification, last)), last)


def rectifiers(bounds: Bounds) -> list[int]:
    """Return the numbers of the nodes that are rectifiers."""
    return [number for number, node in enumerate(bounds.graph.nodes) if isinstance(node.operation, Rectifier)]


class _Tuned:
    """The slopes of one rectifier, and the multipliers of its signs, for every row."""

    def __init__(self, bounds: Bounds, number: int, num_rows: int, signs: Signs | None) -> None:
        node, self.first = bounds.graph.nodes[number], bounds.relaxed(number)
        assert isinstance(node.operation, Rectifier)
        self.least = node.operation.slope
        self.is_open = node.operation.is_open(bounds.intervals[node.inputs[0]]).unsqueeze(1)
        every = self.first.lower.unsqueeze(1)
        self.slope = every.repeat(1, num_rows, *[1] * (every.ndim - 2)).requires_grad_()
        self.free = [self.slope]
        self.sign = None if signs is None else signs[number].unsqueeze(1)
        if self.sign is not None:
            self.multiplier = torch.zeros_like(self.slope).requires_grad_()
            self.free.append(self.multiplier)

    def lines(self) -> Lines:
        """Return the lines."""
        pull = None if self.sign is None else -self.multiplier * self.sign
        return self.first._replace(lower=self.slope, pull=pull)

    @torch.no_grad()
    def clip(self) -> None:
        """Clip slopes and multipliers to the ranges in which the lines are valid bounds."""
        inside = self.slope.clamp(self.least, 1.0)
        self.slope.copy_(torch.where(self.is_open, inside, self.first.lower.unsqueeze(1)))
        if self.sign is not None:
            self.multiplier.clamp_(min=0)
