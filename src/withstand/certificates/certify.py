"""Certificates of samples, by the cheapest method that decides."""

from collections.abc import Callable
from functools import partial
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

from withstand.certificates.bounds import Bounds, bounds_of
from withstand.certificates.graph import Graph
from withstand.certificates.region import Region, region_of
from withstand.certificates.rows import Interval
from withstand.certificates.signs import SignSearch
from withstand.certificates.slopes import by_optimised_lines, rectifiers
from withstand.certificates.splitting import Found, Search
from withstand.data.space import Space
from withstand.functional import changes
from withstand.perturbations.ball import Ball

Method = Literal["interval", "crown", "alpha_crown", "complete"]
Least = Callable[[Bounds, Tensor], Tensor]
METHODS: tuple[Method, ...] = ("interval", "crown", "alpha_crown", "complete")
MOST_INPUTS, MOST_OPTIONS = 10, 1024  # that move, and combinations of options, for branch and bound over inputs
MOST_SIGNS = 512  # rectified values, for branch and bound over their signs
NUMBERS_AT_ONCE = 2**21  # values of the widest layer


class Verdict(NamedTuple):
    """Verdicts on samples; the first three are of shape (batch,).

    Attributes:
        certified: Whether every point of the ball is proved to be classified correctly.
        broken: Whether a wrong point is known.
        method: Number of the method that decided, from 1 in the order of `METHODS`; 0 for none.
        point: The wrong point, (batch, *feature); the sample itself elsewhere.
    """

    certified: Tensor
    broken: Tensor
    method: Tensor
    point: Tensor


class Certifier(NamedTuple):
    """Certifies samples of a network in a ball.

    Attributes:
        graph: The network.
        model: The same network as a module, for forward passes.
        ball: The ball.
        space: The input space.
        method: The last and strongest method; cheaper ones are tried first.
        steps: Steps of the optimisation of slopes.
        num_parts: Most parts of the ball that branch and bound examines per sample.
    """

    graph: Graph
    model: nn.Module
    ball: Ball
    space: Space
    method: Method
    steps: int
    num_parts: int

    def __call__(self, x: Tensor, y: Tensor, correct: Tensor) -> Verdict:
        """Return verdicts on samples (batch, *feature); those that are not correct are broken unchanged."""
        verdict = Verdict(torch.zeros_like(correct), ~correct, torch.zeros_like(y), x.clone())
        size = max(1, NUMBERS_AT_ONCE // self.graph.widest)
        for rows in correct.nonzero()[:, 0].split(size):
            if len(rows):
                self._decide(x[rows], y[rows], rows, verdict)
        return verdict

    def _decide(self, x: Tensor, y: Tensor, rows: Tensor, verdict: Verdict) -> None:
        """Try one method after the other on the samples that are left."""
        specification, left = margins(y, self.graph.num_outputs), torch.arange(len(x), device=x.device)
        region, bounds, had_lines = region_of(self.ball, x, self.space), None, False
        stages: tuple[tuple[Method, bool, Least], ...] = (
            ("interval", False, Bounds.by_interval),
            ("crown", False, Bounds.by_lines),  # cheap: only the outputs are bounded by lines
            ("crown", True, Bounds.by_both),
            ("alpha_crown", True, partial(by_optimised_lines, steps=self.steps)),
        )
        last = METHODS.index(self.method)
        for method, lines, least in stages:
            if METHODS.index(method) > last or len(left) == 0:
                break
            if bounds is None or lines != had_lines:
                bounds, had_lines = bounds_of(self.graph, region.of(left), lines=lines), lines
            done = (least(bounds, specification[left]) > 0).all(1)
            verdict.certified[rows[left[done]]] = True
            verdict.method[rows[left[done]]] = METHODS.index(method) + 1
            left, bounds = left[~done], bounds.of(~done)
        if self.method == "complete" and len(left):
            found = self._search(region.of(left), x[left], y[left], specification[left])
            verdict.certified[rows[left]], verdict.broken[rows[left]] = found.certified, found.broken
            verdict.point[rows[left[found.broken]]] = found.point[found.broken]
            verdict.method[rows[left[found.certified | found.broken]]] = len(METHODS)

    def _search(self, region: Region, x: Tensor, y: Tensor, specification: Tensor) -> Found:
        """Search by branch and bound: over the inputs where few move, else over signs in small networks."""
        regions, owner = _by_option(region, self.ball, x, self.space)
        moving = (region.radii > 0).flatten(1).sum(1).max()

        def inside(sample: Tensor, point: Tensor) -> Tensor:
            return self.ball.of_rows(sample).project(x[sample], point, space=self.space)

        def is_wrong(sample: Tensor, point: Tensor) -> Tensor:
            return ~is_right(self.model(point), y[sample])

        if moving <= MOST_INPUTS and changes.count(self.space.changes) <= MOST_OPTIONS:
            return Search(self.graph, regions, owner, specification, inside, is_wrong).run(self.num_parts)
        bounds = bounds_of(self.graph, region, lines=True)
        sizes = [self.graph.nodes[number].shape.numel() for number in rectifiers(bounds)]
        if sizes and sum(sizes) <= MOST_SIGNS and not self.space.changes:
            return SignSearch(bounds, specification, inside, is_wrong).run(self.num_parts)
        none = torch.zeros_like(y, dtype=torch.bool)
        return Found(none, none, x)


def margins(y: Tensor, num_classes: int) -> Tensor:
    """Return the label's logit minus each of the others, as coefficients of the logits (batch, other, class).

    Example:
        >>> margins(torch.tensor([1]), 3)
        tensor([[[-1.,  1.,  0.],
                 [ 0.,  1., -1.]]])
    """
    unit = torch.eye(num_classes, device=y.device)
    every = unit[y].unsqueeze(1) - unit
    others = torch.arange(num_classes, device=y.device) != y.unsqueeze(1)
    return every[others].view(len(y), num_classes - 1, num_classes)


def is_right(logits: Tensor, y: Tensor) -> Tensor:
    """Return whether the label's logit is higher than all others, and finite."""
    others = logits.scatter(1, y.unsqueeze(1), -torch.inf).amax(1)
    own = logits.gather(1, y.unsqueeze(1)).squeeze(1)
    return (own > others) & own.isfinite()


def _by_option(region: Region, ball: Ball, x: Tensor, space: Space) -> tuple[Region, Tensor]:
    """Return a region for every sample and combination of options, and the number of its sample."""
    number = torch.arange(len(x), device=x.device)
    if not space.changes or changes.count(space.changes) > MOST_OPTIONS:
        return region, number
    combinations = torch.arange(changes.count(space.changes), device=x.device)
    owner, combination = number.repeat_interleave(len(combinations)), combinations.repeat(len(x))
    point, moves = x[owner], torch.zeros_like(x[owner], dtype=torch.bool)
    for each in ball.options(x, space=space):
        values = each.values[owner]
        point[:, each.inputs] = values[torch.arange(len(owner), device=x.device), combination % each.num]
        moves[:, each.inputs] = True
        combination = combination // each.num
    whole = region.of(owner)
    box = Interval(torch.where(moves, point, whole.box.lower), torch.where(moves, point, whole.box.upper))
    center, spread = torch.where(moves, point, whole.center), torch.where(moves, 0.0, whole.spread)
    return whole._replace(box=box, center=center, spread=spread), owner
