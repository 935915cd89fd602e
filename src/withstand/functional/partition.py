"""Random partition of a batch."""

from collections.abc import Sequence
from functools import partial
from itertools import pairwise

import torch
from torch import Generator, Tensor

from withstand.functional.random import BatchStream, Rng, RowStreams, TrialStreams, generator_of, uniform


def partition(shares: Sequence[float], batch: int, *, rng: Rng) -> list[tuple[Tensor, Rng]]:
    """Split the rows of a batch at random into parts of given shares.

    With one source for the whole batch the parts have exactly their shares (to the rounding of one row); with one
    source per row every row chooses for itself, with the shares as probabilities.

    Args:
        shares: Positive numbers; only their proportions count.
        batch: Number of rows held here.
        rng: The source.

    Returns:
        For every part the rows (ascending indices into the batch held here) and the source to draw for them with.
    """
    ends = torch.tensor(list(shares), dtype=torch.float64).cumsum(0)
    ends = ends / ends[-1]
    if isinstance(rng, RowStreams):
        part = torch.searchsorted(ends, uniform((batch, 1), rng=rng).cpu().double()[:, 0], right=True)
        rows = [(part == k).nonzero()[:, 0] for k in range(len(shares))]
        return [(each, rng.subset(each)) for each in rows]
    if isinstance(rng, TrialStreams):
        return _partition_of_trials(shares, rng.rows(batch), rng)
    if isinstance(rng, Generator):
        generator = rng
        rng = BatchStream(lambda: generator, total=batch)
    order = torch.randperm(rng.total, generator=rng.generator, device=rng.generator.device).cpu()
    # Every part has its own source: a process without rows of a part need not draw for it.
    seeds = torch.randint(2**62, (len(shares),), generator=rng.generator, device=rng.generator.device).tolist()
    borders = [0, *(ends * rng.total).round().long().tolist()]
    parts: list[tuple[Tensor, Rng]] = []
    for seed, (first, last) in zip(seeds, pairwise(borders), strict=True):
        chosen = torch.zeros(rng.total, dtype=torch.bool)
        chosen[order[first:last]] = True
        parts.append((chosen[rng.start : rng.stop].nonzero()[:, 0], rng.subset(chosen, seed)))
    return parts


def _partition_of_trials(shares: Sequence[float], rows: int, rng: TrialStreams) -> list[tuple[Tensor, Rng]]:
    own = [partition(shares, rows, rng=generator) for generator in rng.generators]
    trials, parts = torch.arange(len(own)), []
    for each in zip(*own, strict=True):
        # The shares are exact, so a part has equally many rows of every trial, and they stay in turn.
        chosen = torch.stack([rows for rows, _ in each], dim=1) * len(own) + trials
        parts.append((chosen.flatten(), TrialStreams([partial(generator_of, source) for _, source in each])))
    return parts
