"""A random partner in the batch for every row."""

import torch

from withstand.functional.random import Rng, TrialStreams, uniform
from withstand.functional.tensors import Device, Labels


def partners(batch: int, *, rng: Rng, device: Device | None = None) -> Labels:
    """Return a random permutation of the rows held here; a row may be its own partner.

    Where processes share a batch, partners are among the rows of one process; with stacked trials, of one trial.

    Args:
        batch: Number of rows held here.
        rng: The source.
        device: Where the result is.

    Example:
        >>> from withstand.functional.random import stream
        >>> sorted(partners(4, rng=stream(0, "x")).tolist())
        [0, 1, 2, 3]
    """
    trials = len(rng.makes) if isinstance(rng, TrialStreams) else 1
    keys = uniform((batch, 1), rng=rng, device=device).view(-1, trials)
    return (keys.argsort(0) * trials + torch.arange(trials, device=keys.device)).flatten()
