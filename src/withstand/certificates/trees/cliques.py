"""Branch and bound over leaves that meet: is there a point whose leaves add up to a given sum?"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, NamedTuple

import numpy as np

from withstand.certificates.trees.leaves import Box, Leaves
from withstand.functional.balls import Norm

NODES_AT_ONCE = 64
MOST_LEAVES = 4000  # of a row, beyond which pairs of leaves take too much memory
SLACK = 1e-9  # of lengths, for rounding

Answer = Literal["proved", "found", "unknown"]
# From the lowest and highest values of regions (region, input) to whether one has a wrong legal point, and whether
# one has wrong points only that are illegal.
Accept = Callable[[np.ndarray, np.ndarray], tuple[bool, bool]]


class Metric(NamedTuple):
    """How long displacements may be.

    Attributes:
        norm: The norm.
        centre: The row (input,).
        radius: Radius of each input; infinity if it does not count.
    """

    norm: Norm
    centre: np.ndarray
    radius: np.ndarray

    def cost(self, low: np.ndarray, high: np.ndarray) -> np.ndarray:
        """Return what the nearest values of intervals (..., input) use up of the ball, which holds 1 in all."""
        short = np.maximum(np.maximum(low - self.centre, self.centre - high), 0) / self.radius
        return short**2 if self.norm == "l2" else short

    def fits(self, low: np.ndarray, high: np.ndarray) -> np.ndarray:
        """Return which regions (..., input) hold a point of the ball; those of linf balls are in their box already."""
        if self.norm == "linf":
            return np.ones(low.shape[:-1], dtype=bool)
        return self.cost(low, high).sum(-1) <= 1 + SLACK


def search(
    leaves: Leaves,
    gain: np.ndarray,
    *,
    base: float,
    need: float,
    metric: Metric,
    box: Box,
    accept: Accept,
    until: float,
) -> Answer:
    """Look for a region of the ball where the gains of one leaf per tree add up to a required sum.

    Args:
        leaves: The leaves that the ball's box reaches.
        gain: What each of them adds to the sum.
        base: What the sum begins with.
        need: The least sum to look for.
        metric: The ball.
        box: Its box.
        accept: Judges regions whose sum is large enough.
        until: When to give up, by `time.perf_counter`.

    Returns:
        `proved` if no accepted region exists, `found` once one is, `unknown` if time or memory do not suffice or a
        region was neither.

    Source:
        Chen, Zhang, Si, Li, Boning, Hsieh: "Robustness Verification of Tree-based Models", 2019, arXiv:1906.03849,
        section 3: leaves that meet pair by pair form a clique. Differs: depth-first branch and bound over single
        leaves, instead of cliques that are merged level by level.
    """
    num_trees, best = leaves.tree[-1] + 1, np.maximum.reduceat(gain, _starts(leaves.tree))
    if base + best.sum() < need:
        return "proved"
    count = np.bincount(leaves.tree, minlength=num_trees)
    alone = (count == 1)[leaves.tree]
    base += float(gain[alone].sum())
    leaves, gain = leaves.only(~alone), gain[~alone]
    if not len(gain):
        return _judged(accept(box.low[None], box.high[None]))
    inside = metric.fits(leaves.low, leaves.high)
    leaves, gain = leaves.only(inside), gain[inside]
    if len(gain) > MOST_LEAVES:
        return "unknown"
    graph = _Graph(leaves=leaves, gain=gain, meets=_meeting(leaves, metric), spare=need - base)
    graph = graph.reduced(num_trees=int((count > 1).sum()), until=until)
    return "proved" if graph is None else _explored(graph, metric, box, accept, until)


def _starts(tree: np.ndarray) -> np.ndarray:
    return np.flatnonzero(np.diff(tree, prepend=-1))


def _judged(found: tuple[bool, bool]) -> Answer:
    return "found" if found[0] else "unknown" if found[1] else "proved"


def _meeting(leaves: Leaves, metric: Metric) -> np.ndarray:
    """Return which leaves of different trees meet within the ball (leaf, leaf); every leaf meets itself."""
    found = leaves.tree[:, None] != leaves.tree
    cost = np.zeros(found.shape)
    for low, high, centre, radius in zip(leaves.low.T, leaves.high.T, metric.centre, metric.radius, strict=True):
        if (low == low[0]).all() and (high == high[0]).all():
            continue
        both_low, both_high = np.maximum.outer(low, low), np.minimum.outer(high, high)
        found &= both_low <= both_high
        if metric.norm != "linf":
            own = Metric(metric.norm, centre, radius)
            cost += own.cost(both_low, both_high)
    found &= cost <= 1 + SLACK
    np.fill_diagonal(found, True)
    return found


@dataclass(frozen=True, kw_only=True, eq=False)
class _Graph:
    """Leaves as the vertices of a graph: regions of the ball are cliques with a leaf of every tree.

    Boxes that meet pair by pair have a point in common, so in linf balls every such clique is a region.

    Attributes:
        leaves: The leaves.
        gain: What each adds.
        meets: Which of them meet.
        spare: What the gains must add up to.
    """

    leaves: Leaves
    gain: np.ndarray
    meets: np.ndarray
    spare: float

    @cached_property
    def starts(self) -> np.ndarray:
        return _starts(self.leaves.tree)

    @cached_property
    def tree(self) -> np.ndarray:
        """The number of each leaf's tree, without gaps."""
        return np.repeat(np.arange(len(self.starts)), np.diff([*self.starts, len(self.gain)]))

    @cached_property
    def clashes(self) -> np.ndarray:
        return (~self.meets).astype(np.float32)

    def best(self, masks: np.ndarray) -> np.ndarray:
        """Return the highest gain of every tree among some leaves (..., leaf); -inf without one."""
        return np.maximum.reduceat(np.where(masks, self.gain, -np.inf), self.starts, axis=-1)

    def reduced(self, *, num_trees: int, until: float) -> "_Graph | None":
        """Return the graph without leaves that are in no region of a sufficient sum; None if no region is left."""
        graph = self
        while True:
            if len(graph.gain) == 0 or len(graph.starts) < num_trees:
                return None
            on = graph.best(graph.meets).sum(1) >= graph.spare
            if on.all() or time.perf_counter() > until:
                return graph
            graph = _Graph(
                leaves=graph.leaves.only(on), gain=graph.gain[on], meets=graph.meets[on][:, on], spare=graph.spare
            )

    def count(self, masks: np.ndarray) -> np.ndarray:
        """Return how many leaves of every tree are left (..., tree)."""
        return np.add.reduceat(masks, self.starts, axis=-1, dtype=np.int32)

    def narrowed(self, masks: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return masks without leaves that lead to no sufficient sum, bounds, and which masks may be sufficient."""
        for _ in range(2):
            single = masks & (self.count(masks) == 1)[:, self.tree]
            masks = masks & ~(single.astype(np.float32) @ self.clashes > 0)
            best = self.best(masks)
            with np.errstate(invalid="ignore"):
                masks = masks & (self.gain - best[:, self.tree] >= self.spare - best.sum(1, keepdims=True))
        bound = self.best(masks).sum(1)
        return masks, bound, bound >= self.spare


def _explored(graph: _Graph, metric: Metric, box: Box, accept: Accept, until: float) -> Answer:
    """Search depth first, the most promising nodes first, several at a time."""
    masks, low, high = np.ones((1, len(graph.gain)), dtype=bool), box.low[None], box.high[None]
    is_doubtful = False
    while len(masks):
        if time.perf_counter() > until:
            return "unknown"
        now, masks = masks[-NODES_AT_ONCE:], masks[:-NODES_AT_ONCE]
        own_low, low = low[-NODES_AT_ONCE:], low[:-NODES_AT_ONCE]
        own_high, high = high[-NODES_AT_ONCE:], high[:-NODES_AT_ONCE]
        count = graph.count(now)
        whole = (count == 1).all(1)
        if whole.any():
            found, doubt = _judge(graph, now[whole], metric, box, accept)
            if found:
                return "found"
            is_doubtful |= doubt
        now, own_low, own_high, count = now[~whole], own_low[~whole], own_high[~whole], count[~whole]
        turn = np.where(count > 1, count, np.iinfo(np.int32).max).argmin(1)
        node, leaf = (now & (graph.tree == turn[:, None])).nonzero()
        own_low = np.maximum(own_low[node], graph.leaves.low[leaf])
        own_high = np.minimum(own_high[node], graph.leaves.high[leaf])
        new, bound, on = graph.narrowed(now[node] & graph.meets[leaf])
        on &= metric.fits(own_low, own_high)
        order = on.nonzero()[0][bound[on].argsort(kind="stable")]
        masks, low, high = (
            np.concatenate([old, each[order]]) for old, each in ((masks, new), (low, own_low), (high, own_high))
        )
    return "unknown" if is_doubtful else "proved"


def _judge(graph: _Graph, masks: np.ndarray, metric: Metric, box: Box, accept: Accept) -> tuple[bool, bool]:
    """Ask about the regions of complete cliques."""
    chosen = masks.nonzero()[1].reshape(len(masks), -1)
    low = np.maximum(box.low, graph.leaves.low[chosen].max(1))
    high = np.minimum(box.high, graph.leaves.high[chosen].min(1))
    on = (low <= high).all(1) & metric.fits(low, high)
    return accept(low[on], high[on]) if on.any() else (False, False)
