"""Bounds of a network's outputs over a region: intervals, and lines carried backwards."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from withstand.certificates.activations import Activation, Lines
from withstand.certificates.affine import Affine, rows_of
from withstand.certificates.graph import Graph
from withstand.certificates.joining import Concatenation, Sum
from withstand.certificates.pooling import Maximum
from withstand.certificates.region import Region, region_of
from withstand.certificates.rows import ROUNDING, Interval, Rows
from withstand.data.space import Space
from withstand.errors import InputError
from withstand.functional.random import stream
from withstand.models.frozen import evaluating
from withstand.perturbations.ball import Ball

NUMBERS_AT_ONCE = 2**23  # coefficients of rows of the widest layer
MARGIN = 1e-5  # of bounds of the outputs: share of the sum of absolute terms that is taken away for rounding
NUM_CHECKED, TOLERANCE = 8, 1e-3  # inputs, and the share of the outputs by which they may leave their bounds


class Bounds:
    """Bounds of every value of a network over a region, sample by sample.

    Attributes:
        graph: The network.
        region: The points.
        intervals: Of the output of every node.
    """

    def __init__(self, graph: Graph, region: Region, intervals: list[Interval]) -> None:
        self.graph, self.region, self.intervals = graph, region, intervals
        self._relaxed: dict[int, Any] = {}

    def of(self, samples: Tensor) -> "Bounds":
        """Return the bounds of some samples."""
        return Bounds(self.graph, self.region.of(samples), [each.of(samples) for each in self.intervals])

    def relaxed(self, number: int) -> Any:
        """Return the lines of an activation, or the picks of a pooling."""
        if number not in self._relaxed:
            node = self.graph.nodes[number]
            assert isinstance(node.operation, Activation | Maximum)
            self._relaxed[number] = node.operation.relax(self.intervals[node.inputs[0]])
        return self._relaxed[number]

    def by_interval(self, specification: Tensor) -> Tensor:
        """Return lower bounds of linear functions (batch, row, output) of the outputs, from intervals alone.

        Layers before the output that are affine are joined with the function first.
        """
        last = len(self.graph.nodes) - 1
        return self._least(*self._carry(last, Rows(specification), stops=True)) - self.margin(specification)

    def by_lines(self, specification: Tensor, lines: Mapping[int, Lines] | None = None) -> Tensor:
        """Return lower bounds of linear functions (batch, row, output) of the outputs, carried back to the input.

        Args:
            specification: Coefficients of the functions.
            lines: By node, lines to use instead of the default ones.
        """
        return self._least(*self.lines(specification, lines))

    def by_both(self, specification: Tensor) -> Tensor:
        """Return the larger of both lower bounds."""
        return torch.maximum(self.by_interval(specification), self.by_lines(specification))

    def lines(self, specification: Tensor, lines: Mapping[int, Lines] | None = None) -> tuple[Rows | None, Tensor]:
        """Return linear functions of the input that are at most those of the outputs, and their constants.

        Arguments are those of `by_lines`. None is a function that does not depend on the input.
        """
        rows, constant = self._carry(len(self.graph.nodes) - 1, Rows(specification), lines=lines)
        return rows, constant - self.margin(specification)

    def margin(self, specification: Tensor) -> Tensor:
        """Return the amount subtracted from bounds of the outputs for rounding errors, (batch, row)."""
        absolute = self._absolute(len(self.graph.nodes) - 1)
        return MARGIN * torch.bmm(specification.abs(), absolute.unsqueeze(2)).squeeze(2)

    def tighten(self, number: int) -> None:
        """Tighten the interval of a node by lines, where a following layer can use it."""
        node, own = self.graph.nodes[number], self.intervals[number]
        is_open = torch.zeros_like(own.lower, dtype=torch.bool)
        for each in self.graph.nodes:
            if number in each.inputs and isinstance(each.operation, Activation | Maximum):
                is_open |= each.operation.is_open(own)
        is_open = is_open.flatten(1)
        most = int(is_open.sum(1).max())
        if most == 0:
            return
        # The open values of each sample first, in order.
        index = (~is_open).to(torch.uint8).argsort(dim=1, stable=True)[:, :most]
        size = max(1, NUMBERS_AT_ONCE // (2 * len(index) * self.graph.widest))
        found = [self._both(number, part) for part in index.split(size, 1)]
        # Padding values keep their bounds, so that a sample's bounds do not depend on the batch.
        fills = ~is_open.gather(1, index)
        rounding = ROUNDING * self._absolute(number).flatten(1).gather(1, index)
        rounding = rounding.masked_fill(fills, torch.inf)
        lower = own.lower.flatten(1).gather(1, index)
        upper = own.upper.flatten(1).gather(1, index)
        lower = torch.maximum(lower, torch.cat([each[0] for each in found], 1) - rounding)
        upper = torch.minimum(upper, torch.cat([each[1] for each in found], 1) + rounding)
        self.intervals[number] = Interval(
            own.lower.flatten(1).scatter(1, index, lower).view(-1, *node.shape),
            own.upper.flatten(1).scatter(1, index, torch.maximum(lower, upper)).view(-1, *node.shape),
        )

    def _both(self, number: int, index: Tensor) -> tuple[Tensor, Tensor]:
        """Return lower and upper bounds of values of a node, (batch, row)."""
        node = self.graph.nodes[number]
        if isinstance(node.operation, Affine):
            rows, constant = node.operation.rows_of(index)
            number = node.inputs[0]
        else:
            rows, constant = rows_of(index, node.shape, self.region.center.dtype), 0.0
        count = index.shape[1]
        both = Rows(torch.cat([rows.coefficients, -rows.coefficients], 1), rows.corner)
        found = self._least(*self._carry(number, both))
        return found[:, :count] + constant, constant - found[:, count:]

    def _absolute(self, number: int) -> Tensor:
        """Return the sum of the absolute terms of a node's values."""
        node = self.graph.nodes[number]
        if isinstance(node.operation, Affine):
            return node.operation.absolute(self.intervals[node.inputs[0]].largest)
        return self.intervals[number].largest

    def _least(self, rows: Rows | None, constant: Tensor) -> Tensor:
        return constant if rows is None else constant + self.region.least(rows)

    def _carry(
        self, number: int, rows: Rows, *, lines: Mapping[int, Lines] | None = None, stops: bool = False
    ) -> tuple[Rows | None, Tensor]:
        """Return linear functions of the input that are at most those of a node's values, and constants (batch, row).

        Args:
            number: The node.
            rows: The functions.
            lines: See `by_lines`.
            stops: Whether to take intervals of the first layers that are not affine.
        """
        waiting, total = {number: rows}, rows.coefficients.new_zeros(rows.coefficients.shape[:2])
        for place in range(number, -1, -1):
            if place not in waiting:
                continue
            rows, node = waiting.pop(place), self.graph.nodes[place]
            if place == 0:
                return rows, total
            if isinstance(node.operation, Sum | Concatenation):
                parts = [node.operation.back_to(rows, branch) for branch in range(len(node.inputs))]
            elif isinstance(node.operation, Affine):
                part, constant = node.operation.back(rows)
                parts, total = [part], total + constant
            elif stops:
                box = self.intervals[place]
                total = total + rows.dot(box.middle) - Rows(rows.coefficients.abs(), rows.corner).dot(box.half)
                continue
            else:
                part, constant = (lines[place] if lines and place in lines else self.relaxed(place)).back(rows)
                parts, total = [part], total + constant
            for before, part in zip(node.inputs, parts, strict=True):
                waiting[before] = _joined(waiting.get(before), part, self.graph.nodes[before].shape)
        return None, total


def bounds_of(graph: Graph, region: Region, *, lines: bool) -> Bounds:
    """Return bounds of every value over a region.

    Args:
        graph: The network.
        region: The points.
        lines: Whether to tighten intervals by lines (CROWN) where it helps; otherwise they follow from intervals.

    Source:
        Zhang, Weng, Chen, Hsieh, Daniel 2018, arXiv 1811.00866 (CROWN); Gowal et al. 2018, arXiv 1810.12715.
        Differs: intervals are the better of both kinds, and lines are computed only for values that matter.
    """
    bounds = Bounds(graph, region, [region.box])
    for number, node in enumerate(graph.nodes[1:], 1):
        assert node.operation is not None
        bounds.intervals.append(node.operation.interval(*(bounds.intervals[each] for each in node.inputs)))
        exact = region.norm == "linf" and graph.is_exact(number)
        if lines and not graph.is_settled(number) and not exact and number < len(graph.nodes) - 1:
            bounds.tighten(number)
    return bounds


@torch.no_grad()
def check_outputs(graph: Graph, model: nn.Module, *, who: str) -> None:
    """Reject a network whose outputs are not within the bounds of its own layers, at a few inputs.

    Hooks, and values that are changed in place and used again, do not show in its layers.

    Raises:
        InputError: If they are not.
    """
    like = next(model.parameters(), next(model.buffers(), torch.zeros(1)))
    shape = (NUM_CHECKED, *graph.nodes[0].shape)
    x = torch.rand(shape, generator=stream(0, "bounds"), dtype=torch.float64).to(like)
    with evaluating(model):
        outputs = model(x.clone())
    own = bounds_of(graph, region_of(Ball("linf", 0.0), x, Space.like(x)), lines=False).intervals[-1]
    excess = torch.maximum(own.lower - outputs, outputs - own.upper)
    if (excess > TOLERANCE * (1 + outputs.abs().amax())).any():
        raise InputError(
            f"{who}: the layers of {type(model).__name__} do not give its outputs; hooks and values that are changed "
            "in place have no rule for bounds."
        )


def _joined(known: Rows | None, new: Rows, shape: torch.Size) -> Rows:
    if known is None:
        return new
    if (known.corner is None) != (new.corner is None):
        known, new = known.whole(shape), new.whole(shape)
    return known + new
