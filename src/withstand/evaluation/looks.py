"""Looks at a count of hits: after how many draws a question about their probability is answered."""

from collections.abc import Callable
from functools import cache
from typing import NamedTuple

from withstand.study.measures.intervals import lower_bounds

FIRST = 128  # draws


class Look(NamedTuple):
    """What the hits say after some draws.

    Attributes:
        draws: Number of draws so far.
        yes: Least number of hits at which the probability is proved; more than the draws if none proves it.
        no: Largest number of hits at which the question ends without proof.
    """

    draws: int
    yes: int
    no: int


@cache
def looks(num_draws: int, probability: float, *, alpha: float) -> tuple[Look, ...]:
    """Return the looks at the question whether the probability of a hit is at least a given one.

    They are after 128, 256, 512, ... draws, up to half of all, and after the last draw. Alpha is divided: one half for
    the last look, the other for the earlier ones, equally. A yes is proved by the one-sided Clopper-Pearson bound. A no
    proves nothing; it ends a question whose last look could say yes only if the probability were above its upper bound.

    Args:
        num_draws: Number of all draws.
        probability: The probability asked for, above 0 and below 1.
        alpha: Probability of a wrong yes over all looks, at most.

    Returns:
        The looks in order, none if not even hits alone would prove it; at the last one every number of hits answers.

    Source:
        Bonferroni over the looks, as in a group sequential test; Clopper, Pearson 1934, Biometrika 26, 404.

    Example:
        >>> looks(300, 0.9, alpha=0.01)
        (Look(draws=128, yes=124, no=113), Look(draws=300, yes=284, no=283))
    """
    early = []
    while FIRST * 2 ** len(early) <= num_draws / 2:
        early.append(FIRST * 2 ** len(early))
    last, each = (alpha / 2, alpha / 2 / len(early)) if early else (alpha, alpha)
    needed = _least(num_draws, probability, last)
    if needed > num_draws:
        return ()
    found = []
    for draws in early:
        misses = _least(draws, 1 - needed / num_draws, each) if needed < num_draws else 1
        found.append(Look(draws, _least(draws, probability, each), draws - misses))
    return (*found, Look(num_draws, needed, needed - 1))


def _least(draws: int, probability: float, alpha: float) -> int:
    """Return the least number of hits whose lower bound is at least a probability; draws + 1 if there is none."""
    return _first(lambda hits: float(lower_bounds(hits, draws, alpha)) >= probability, draws + 1)


def _first(is_enough: Callable[[int], bool], end: int) -> int:
    """Return the first number from 0 on that is enough, by bisection; the end if none before it is."""
    low = 0
    while low < end:
        middle = (low + end) // 2
        low, end = (low, middle) if is_enough(middle) else (middle + 1, end)
    return low
