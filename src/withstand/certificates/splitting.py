"""Branch and bound over the inputs: boxes are halved until each is certified, or a wrong point is found."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from withstand.certificates.bounds import bounds_of
from withstand.certificates.graph import Graph
from withstand.certificates.region import Region
from withstand.certificates.rows import Interval
from withstand.functional import balls

BOXES_AT_ONCE = 64  # of each sample, in a round
NUMBERS_AT_ONCE = 2**20  # values of the widest layer
OUTSIDE = 1 + 1e-4  # distance in radii from which a box is surely outside of the ball


class Boxes(NamedTuple):
    """Parts of the regions of samples.

    Attributes:
        root: Number of the region of each.
        box: The boxes.
        bound: A lower bound of the least margin in each.
    """

    root: Tensor
    box: Interval
    bound: Tensor

    def of(self, chosen: Tensor) -> "Boxes":
        """Return some of them."""
        return Boxes(self.root[chosen], self.box.of(chosen), self.bound[chosen])


class Found(NamedTuple):
    """The result of a search, sample by sample.

    Attributes:
        certified: Whether all boxes were certified.
        broken: Whether a wrong point was found.
        point: The wrong point; zeros elsewhere.
    """

    certified: Tensor
    broken: Tensor
    point: Tensor


class Search(NamedTuple):
    """A search for wrong points in the regions of some samples.

    Attributes:
        graph: The network.
        region: The regions; several may belong to one sample.
        owner: Number of the sample of each region, from 0 without gaps.
        specification: Margins that must be positive, (sample, row, output).
        inside: Projects points (second argument) into the balls of samples (numbers, first argument).
        is_wrong: Returns which points are wrong, by a forward pass; its arguments are those of `inside`.
    """

    graph: Graph
    region: Region
    owner: Tensor
    specification: Tensor
    inside: Callable[[Tensor, Tensor], Tensor]
    is_wrong: Callable[[Tensor, Tensor], Tensor]

    def run(self, num_parts: int) -> Found:
        """Search boxes, of each sample those with the lowest bounds first, until a number of boxes per sample."""
        count = len(self.specification)
        center = self.region.center
        broken = torch.zeros(count, dtype=torch.bool, device=center.device)
        spent, point = broken.long(), center.new_zeros(count, *center.shape[1:])
        first = center.new_full((len(self.owner),), -torch.inf)
        waiting = Boxes(torch.arange(len(self.owner), device=center.device), self.region.box, first)
        while len(waiting.root):
            owner = self.owner[waiting.root]
            is_now = rank(owner, waiting.bound) < (num_parts - spent).clamp(0, BOXES_AT_ONCE)[owner]
            if not is_now.any():
                break
            spent += torch.bincount(owner[is_now], minlength=count)
            halves = self._halve(waiting.of(is_now), broken, point)
            waiting = _together(waiting.of(~is_now), halves)
            waiting = waiting.of(~broken[self.owner[waiting.root]])
        certified = ~broken
        certified[self.owner[waiting.root]] = False
        return Found(certified, broken, point)

    def _halve(self, boxes: Boxes, broken: Tensor, point: Tensor) -> Boxes:
        """Return the halves of the boxes that are not certified; wrong points on the way are noted."""
        size = max(1, NUMBERS_AT_ONCE // self.graph.widest)
        parts = [self._bound(boxes.of(part)) for part in torch.arange(len(boxes.root), device=point.device).split(size)]
        bound, line = (torch.cat(each) for each in zip(*parts, strict=True))
        is_open = ~(bound > 0)  # also where it is NaN
        boxes, line = boxes._replace(bound=bound).of(is_open), line[is_open]
        owner = self.owner[boxes.root]
        for candidates in (torch.where(line > 0, *boxes.box), boxes.box.middle):
            tried = self.inside(owner, candidates)
            note_wrong(owner, tried, self.is_wrong(owner, tried), broken, point)
        return self._in_ball(_halved(boxes, line.abs()))

    def _bound(self, boxes: Boxes) -> tuple[Tensor, Tensor]:
        """Return the lowest margin in each box, and the coefficients of its line."""
        specification = self.specification[self.owner[boxes.root]]
        bounds = bounds_of(self.graph, self.region.of(boxes.root).within(boxes.box), lines=True)
        rows, constant = bounds.lines(specification)
        by_interval = bounds.by_interval(specification)
        if rows is None:
            return torch.maximum(constant, by_interval).amin(1), torch.zeros_like(boxes.box.lower)
        lowest, row = torch.maximum(constant + bounds.region.least(rows), by_interval).min(1)
        line = rows.whole(boxes.box.lower.shape[1:]).coefficients[torch.arange(len(row), device=row.device), row]
        return lowest, line

    def _in_ball(self, boxes: Boxes) -> Boxes:
        """Return the boxes that have points in the ball."""
        region = self.region.of(boxes.root)
        nearest = torch.minimum(torch.maximum(region.center, boxes.box.lower), boxes.box.upper)
        # What moves besides the ball is no distance.
        moved = torch.where(region.radii > 0, nearest - region.center, 0.0)
        outside = balls.distance(moved, region.norm, region.radii) > OUTSIDE
        return boxes.of(~(outside & region.is_whole)) if region.norm != "linf" else boxes


def _halved(boxes: Boxes, slope: Tensor) -> Boxes:
    """Return both halves of every box, cut across the input whose change has the largest effect."""
    half = boxes.box.half
    # Where a line is flat, the widest input is cut.
    effect = (half * (slope + 1e-9 * slope.amax(1, keepdim=True).clamp_min(1e-9))).flatten(1)
    cut = torch.zeros_like(effect).scatter(1, effect.argmax(1, keepdim=True), 1.0).view_as(half).bool()
    upper = torch.where(cut, boxes.box.middle, boxes.box.upper)
    lower = torch.where(cut, boxes.box.middle, boxes.box.lower)
    low, high = (
        boxes._replace(box=Interval(boxes.box.lower, upper)),
        boxes._replace(box=Interval(lower, boxes.box.upper)),
    )
    return _together(low, high)


def _together(first: Boxes, second: Boxes) -> Boxes:
    box = Interval(*(torch.cat(pair) for pair in zip(first.box, second.box, strict=True)))
    return Boxes(torch.cat([first.root, second.root]), box, torch.cat([first.bound, second.bound]))


def note_wrong(owner: Tensor, tried: Tensor, is_wrong: Tensor, broken: Tensor, point: Tensor) -> None:
    """Mark samples as broken, in place, and store the first wrong point of each that was tried."""
    wrong = is_wrong.nonzero()[:, 0]
    place = torch.full((len(broken),), len(owner), device=point.device)
    place.scatter_reduce_(0, owner[wrong], wrong, "amin")
    new = ((place < len(owner)) & ~broken).nonzero()[:, 0]
    point[new], broken[new] = tried[place[new]], True


def rank(group: Tensor, value: Tensor) -> Tensor:
    """Return the place of each value among those of its group, from 0 for the smallest."""
    order = value.argsort(stable=True)
    order = order[group[order].argsort(stable=True)]
    sizes = torch.bincount(group)
    starts = sizes.cumsum(0) - sizes
    place = torch.arange(len(group), device=group.device) - starts[group[order]]
    return torch.empty_like(place).scatter(0, order, place)
