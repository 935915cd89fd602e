"""Ensemble: decision trees of any library, whose leaves add up."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, kw_only=True, eq=False)
class Ensemble:
    """Trees whose leaves add up to one output per class; the prediction is the class with the highest output.

    The nodes of all trees stand one after the other.

    Attributes:
        feature: Feature that each node looks at; -1 at leaves.
        threshold: Values up to and including it go left; all 64 bits count.
        left: The left child of each node.
        right: The right child.
        empty_left: Whether empty cells (NaN) go left.
        value: What a leaf adds to the outputs (node, class).
        roots: The first node of each tree.
        base: What the outputs begin with (class,).
    """

    feature: np.ndarray
    threshold: np.ndarray
    left: np.ndarray
    right: np.ndarray
    empty_left: np.ndarray
    value: np.ndarray
    roots: np.ndarray
    base: np.ndarray

    @property
    def is_whole(self) -> bool:
        """Whether the leaves add whole numbers only: sums are exact then, and so are ties."""
        return bool((self.value == self.value.round()).all() and (self.base == self.base.round()).all())

    def goes_left(self, x: np.ndarray) -> np.ndarray:
        """Return which way rows would take at every node (row, node)."""
        found = x[:, self.feature]
        return np.where(np.isnan(found), self.empty_left, found <= self.threshold)

    def outputs(self, x: np.ndarray) -> np.ndarray:
        """Return the outputs (row, class) at rows (row, feature)."""
        place = np.broadcast_to(self.roots, (len(x), len(self.roots))).copy()
        row = np.arange(len(x))[:, None]
        while (inside := self.feature[place] >= 0).any():
            found = x[row, self.feature[place]]
            goes_left = np.where(np.isnan(found), self.empty_left[place], found <= self.threshold[place])
            place = np.where(inside, np.where(goes_left, self.left[place], self.right[place]), place)
        return self.base + self.value[place].sum(1)


def joined(trees: list[Ensemble], base: np.ndarray) -> Ensemble:
    """Return the sum of some trees and a constant."""
    starts = np.cumsum([0, *(len(each.feature) for each in trees)])[:-1]
    moved = list(zip(trees, starts, strict=True))
    return Ensemble(
        feature=np.concatenate([each.feature for each in trees]),
        threshold=np.concatenate([each.threshold for each in trees]),
        left=np.concatenate([each.left + start for each, start in moved]),
        right=np.concatenate([each.right + start for each, start in moved]),
        empty_left=np.concatenate([each.empty_left for each in trees]),
        value=np.concatenate([each.value for each in trees]),
        roots=np.concatenate([each.roots + start for each, start in moved]),
        base=base,
    )


def last_float64(threshold: np.ndarray) -> np.ndarray:
    """Return the largest 64-bit numbers that 32 bits round to at most a threshold.

    Example:
        >>> last = last_float64(np.array([0.1]))
        >>> [float(np.float32(each)) <= 0.1 for each in (last[0], np.nextafter(last[0], 1))]
        [True, False]
    """
    with np.errstate(over="ignore"):
        below = threshold.astype(np.float32)
        below = np.where(below > threshold, np.nextafter(below, np.float32(-np.inf)), below)
        middle = (below.astype(np.float64) + np.nextafter(below, np.float32(np.inf)).astype(np.float64)) / 2
        return np.where(middle.astype(np.float32) <= threshold, middle, np.nextafter(middle, -np.inf))
