"""Branch and bound over the signs of rectifiers' inputs, for small networks."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from withstand.certificates.bounds import Bounds
from withstand.certificates.rows import Interval
from withstand.certificates.slopes import optimised, rectifiers
from withstand.certificates.splitting import Found, note_wrong, rank

PARTS_AT_ONCE = 32  # of each sample, in a round
STEPS = 10  # of the optimisation, in every part


class Parts(NamedTuple):
    """Parts of the regions of samples where some rectifiers' inputs have known signs.

    Attributes:
        sample: Number of the sample of each.
        signs: By node, signs of the rectifier's inputs: 1, -1, or 0 where they are open.
        bound: A lower bound of the least margin in each.
    """

    sample: Tensor
    signs: dict[int, Tensor]
    bound: Tensor

    def of(self, chosen: Tensor) -> "Parts":
        """Return some of them."""
        return Parts(self.sample[chosen], {name: each[chosen] for name, each in self.signs.items()}, self.bound[chosen])


class SignSearch(NamedTuple):
    """A search for wrong points in the regions of some samples.

    Attributes:
        bounds: Bounds of the samples.
        specification: Margins that must be positive, (sample, row, output).
        inside: Projects points (second argument) into the balls of samples (numbers, first argument).
        is_wrong: Returns which points are wrong, by a forward pass; its arguments are those of `inside`.
    """

    bounds: Bounds
    specification: Tensor
    inside: Callable[[Tensor, Tensor], Tensor]
    is_wrong: Callable[[Tensor, Tensor], Tensor]

    def run(self, num_parts: int) -> Found:
        """Search parts, of each sample those with the lowest bounds first, until a number of parts per sample."""
        center = self.bounds.region.center
        count = len(center)
        none = torch.zeros(count, dtype=torch.bool, device=center.device)
        found = Found(none, none.clone(), torch.zeros_like(center))
        stuck, spent = found.broken.clone(), found.broken.long()
        shapes = {number: self.bounds.graph.nodes[number].shape for number in rectifiers(self.bounds)}
        signs = {number: center.new_zeros(count, *shape) for number, shape in shapes.items()}
        waiting = Parts(torch.arange(count, device=center.device), signs, center.new_full((count,), -torch.inf))
        while len(waiting.sample):
            allowed = (num_parts - spent).clamp(0, PARTS_AT_ONCE)[waiting.sample]
            is_now = rank(waiting.sample, waiting.bound) < allowed
            if not is_now.any():
                break
            spent += torch.bincount(waiting.sample[is_now], minlength=count)
            children = self._split(waiting.of(is_now), found, stuck)
            waiting = _together(waiting.of(~is_now), children)
            waiting = waiting.of(~(found.broken | stuck)[waiting.sample])
        certified = ~(found.broken | stuck)
        certified[waiting.sample] = False
        return found._replace(certified=certified)

    def _split(self, parts: Parts, found: Found, stuck: Tensor) -> Parts:
        """Return both children of the parts that are not certified, and note wrong points and parts without a rule."""
        bounds = self._clipped(parts)
        specification = self.specification[parts.sample]
        best = optimised(bounds, specification, steps=STEPS, signs=parts.signs)
        bound, row = best.bound.min(1)
        places = torch.arange(len(row), device=row.device)
        with torch.enable_grad():
            above = {number: each.above.detach().requires_grad_() for number, each in best.lines.items()}
            lines = {number: each._replace(above=above[number]) for number, each in best.lines.items()}
            rows, constant = bounds.lines(specification, lines)
            effects = torch.autograd.grad(constant[places, row].sum(), list(above.values()), allow_unused=True)
        # What the constant of a line above takes away from the bound: the part to gain by knowing the sign.
        scores = [
            -each * gain if gain is not None else each * 0 for each, gain in zip(above.values(), effects, strict=True)
        ]
        is_open = ~(bound > 0)
        if rows is not None:
            line = rows.whole(bounds.region.center.shape[1:]).coefficients[places, row].detach()
            sample = parts.sample[is_open]
            if len(sample):
                tried = self.inside(sample, torch.where(line > 0, *bounds.region.box)[is_open])
                note_wrong(sample, tried, self.is_wrong(sample, tried), found.broken, found.point)
        score = torch.cat([each.detach().flatten(1) for each in scores], 1)[is_open]
        parts = parts._replace(bound=bound).of(is_open)
        highest, place = score.abs().max(1)
        stuck[parts.sample[highest == 0]] = True
        return _children(parts.of(highest > 0), place[highest > 0])

    def _clipped(self, parts: Parts) -> Bounds:
        """Return bounds of the parts: those of their samples, and the signs."""
        bounds = self.bounds.of(parts.sample)
        for number, sign in parts.signs.items():
            before = bounds.graph.nodes[number].inputs[0]
            lower, upper = bounds.intervals[before]
            lower = torch.where(sign > 0, lower.clamp_min(0), lower)
            bounds.intervals[before] = Interval(lower, torch.where(sign < 0, upper.clamp_max(0), upper))
        return bounds


def _children(parts: Parts, place: Tensor) -> Parts:
    """Return every part with one more sign, positive and negative; a place is among the values of all rectifiers."""
    children = []
    for side in (1.0, -1.0):
        flat = torch.cat([each.flatten(1) for each in parts.signs.values()], 1).clone()
        flat.scatter_(1, place.unsqueeze(1), side)
        sizes = [each.shape[1:].numel() for each in parts.signs.values()]
        split = zip(parts.signs.items(), flat.split(sizes, 1), strict=True)
        children.append(parts._replace(signs={number: own.view_as(before) for (number, before), own in split}))
    return _together(*children)


def _together(first: Parts, second: Parts) -> Parts:
    signs = {number: torch.cat([each, second.signs[number]]) for number, each in first.signs.items()}
    return Parts(torch.cat([first.sample, second.sample]), signs, torch.cat([first.bound, second.bound]))
