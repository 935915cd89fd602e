"""Optimised slopes of the lines below rectifiers."""

import torch
from torch import Tensor

from withstand.certificates.activations import Rectifier
from withstand.certificates.bounds import Bounds

RATE, LAST_RATE = 0.2, 0.02  # of Adam, at first and at last


def by_optimised_lines(bounds: Bounds, specification: Tensor, *, steps: int) -> Tensor:
    """Return lower bounds of linear functions (batch, row, output) of the outputs, the best of several slopes.

    Every row has its own slopes. They start where lines without optimisation have them, so the result is no looser.

    Args:
        bounds: Bounds of the values between; stay as they are.
        specification: Coefficients of the functions.
        steps: Steps of Adam, at least 0.

    Source:
        Xu, Zhang, Wang, Wang, Jana, Lin, Hsieh 2021, arXiv 2011.13824 (alpha-CROWN).
        Differs: bounds of the values between are not optimised.
    """
    nodes = [number for number, node in enumerate(bounds.graph.nodes) if isinstance(node.operation, Rectifier)]
    best = bounds.by_lines(specification)
    first = {number: bounds.relaxed(number).lower for number in nodes}
    with torch.enable_grad():
        rows = specification.shape[1]
        slopes = {
            number: each.unsqueeze(1).repeat(1, rows, *[1] * (each.ndim - 1)).requires_grad_()
            for number, each in first.items()
        }
        if not slopes:
            return best
        optimizer = torch.optim.Adam(slopes.values(), lr=RATE)
        shrink = (LAST_RATE / RATE) ** (1 / max(1, steps - 1))
        for _ in range(steps):
            found = bounds.by_lines(specification, slopes)
            best = torch.maximum(best, found.detach())
            optimizer.zero_grad()
            (-found.sum()).backward(inputs=list(slopes.values()))
            optimizer.step()
            for group in optimizer.param_groups:
                group["lr"] *= shrink
            with torch.no_grad():
                for number, each in slopes.items():
                    operation, over = bounds.graph.nodes[number], bounds.intervals
                    assert isinstance(operation.operation, Rectifier)
                    is_open = operation.operation.is_open(over[operation.inputs[0]]).unsqueeze(1)
                    free = each.clamp(operation.operation.slope, 1.0)
                    each.copy_(torch.where(is_open, free, first[number].unsqueeze(1)))
    with torch.no_grad():
        return torch.maximum(best, bounds.by_lines(specification, slopes))
