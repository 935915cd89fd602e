"""Leaves that a box around a row reaches."""

from typing import NamedTuple

import numpy as np

from withstand.certificates.trees.ensemble import Ensemble


class Box(NamedTuple):
    """Where a row may move.

    Attributes:
        inputs: The inputs that move, as the cuts number them.
        low: Their lowest values, included.
        high: Their highest values, included.
        is_whole: Which of them are whole numbers.
    """

    inputs: np.ndarray
    low: np.ndarray
    high: np.ndarray
    is_whole: np.ndarray


class Leaves(NamedTuple):
    """The leaves that a box reaches, tree by tree.

    Attributes:
        tree: Number of each leaf's tree, ascending.
        value: What it adds to the outputs (leaf, class).
        low: The lowest values of the moving inputs in it (leaf, input).
        high: The highest.
    """

    tree: np.ndarray
    value: np.ndarray
    low: np.ndarray
    high: np.ndarray

    def only(self, chosen: np.ndarray) -> "Leaves":
        """Return some leaves."""
        return Leaves(*(each[chosen] for each in self))


class Cuts(NamedTuple):
    """Thresholds of nodes in the units of the inputs that move.

    Attributes:
        source: The input that decides at each node; -1 where none does.
        last: The largest value of it that goes left.
    """

    source: np.ndarray
    last: np.ndarray


def reached(ensemble: Ensemble, cuts: Cuts, goes_left: np.ndarray, box: Box) -> Leaves:
    """Return the leaves that some point of a box reaches, with the parts of the box that reach each.

    Args:
        ensemble: The trees.
        cuts: Their thresholds.
        goes_left: Where the row goes at each node by its inputs that do not move (node,).
        box: Where the others move.
    """
    most = int(max(cuts.source.max(initial=-1), box.inputs.max(initial=-1))) + 2
    place = np.full(most, -1)
    place[box.inputs] = np.arange(len(box.inputs))
    moving = place[cuts.source]  # the last entry is for source -1
    node, tree = ensemble.roots, np.arange(len(ensemble.roots))
    low, high = (np.repeat(each[None], len(node), 0) for each in (box.low, box.high))
    done: list[Leaves] = []
    while len(node):
        is_leaf = ensemble.feature[node] < 0
        done.append(Leaves(tree[is_leaf], ensemble.value[node[is_leaf]], low[is_leaf], high[is_leaf]))
        node, tree, low, high = (each[~is_leaf] for each in (node, tree, low, high))
        at, row, cut = moving[node], np.arange(len(node)), cuts.last[node]
        is_fixed = at < 0
        if len(box.inputs):
            after = np.where(box.is_whole[at], np.floor(cut) + 1, np.nextafter(cut, np.inf))
            cut = np.where(box.is_whole[at], np.floor(cut), cut)
            left = np.where(is_fixed, goes_left[node], low[row, at] <= cut)
            right = np.where(is_fixed, ~goes_left[node], high[row, at] >= after)
        else:
            left, right, after = goes_left[node], ~goes_left[node], cut
        below, above = high[left], low[right]
        cuts_left, cuts_right = left & ~is_fixed, right & ~is_fixed
        inside = cuts_left[left].nonzero()[0]
        below[inside, at[cuts_left]] = np.minimum(below[inside, at[cuts_left]], cut[cuts_left])
        inside = cuts_right[right].nonzero()[0]
        above[inside, at[cuts_right]] = np.maximum(above[inside, at[cuts_right]], after[cuts_right])
        low, high = np.concatenate([low[left], above]), np.concatenate([below, high[right]])
        node = np.concatenate([ensemble.left[node[left]], ensemble.right[node[right]]])
        tree = np.concatenate([tree[left], tree[right]])
    found = Leaves(*(np.concatenate(each) for each in zip(*done, strict=True)))
    return found.only(found.tree.argsort(kind="stable"))
