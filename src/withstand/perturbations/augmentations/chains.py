"""Mixtures of an image with chains of operations."""

from collections.abc import Callable

import torch
from jaxtyping import Shaped
from torch import Tensor

from withstand.functional.augmentation.hashed import Seeds
from withstand.functional.augmentation.proportions import beta, dirichlet
from withstand.functional.pieces import pieces
from withstand.functional.random import Rng, integers, uniform
from withstand.functional.tensors import Images
from withstand.perturbations.base import VALUES_AT_ONCE

States = Shaped[Tensor, "row channel height width"]
_LONGEST = 3


def mixed_with_chains(
    x: Images,
    start: Callable[[Images], States],
    operate: Callable[[States, Seeds], States],
    *,
    width: int,
    depth: int | None,
    alpha: float,
    unit: float,
    rng: Rng,
) -> Images:
    """Draw all numbers, then run the chains step by step and mix them; on a CPU a few images at a time.

    Args:
        x: The images.
        start: Returns what chains start from.
        operate: Returns the states after one random operation, from a seed per row; -1 leaves a row unchanged.
        width: Number of chains.
        depth: Operations per chain; None draws 1, 2 or 3 for each.
        alpha: Concentration of the weights: of the chains, and of the image against them.
        unit: Factor from states to values in [0, 1].
        rng: Source of randomness.
    """
    batch, device, longest = len(x), x.device, depth or _LONGEST
    weights = dirichlet(batch, width, alpha, rng=rng, device=device)
    share = beta(batch, alpha, rng=rng, device=device)
    seeds = integers((batch, width, longest), 0, 1 << 62, rng=rng, device=device)
    if depth is None:
        own = uniform((batch, width, 1), rng=rng, device=device).mul_(longest).long() + 1
        seeds.masked_fill_(own <= torch.arange(longest, device=device), -1)
    mixed = torch.empty_like(x)
    some = max(1, VALUES_AT_ONCE // max(1, x[0].numel()))
    for image, w, m, own, out in pieces(some, x, weights, share, seeds, mixed):
        torch.mul(image, (1 - m)[:, None, None, None], out=out)
        states = start(image).repeat_interleave(width, 0)
        for step in own.flatten(0, 1).unbind(1):
            states = operate(states, step)
        chains = states.view(len(image), width, *x.shape[1:])
        for chain, weight in zip(chains.unbind(1), (w * m[:, None]).unbind(1), strict=True):
            out.addcmul_(chain.to(x.dtype), weight[:, None, None, None], value=unit)
    return mixed
