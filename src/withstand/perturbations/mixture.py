"""Mixtures of perturbations within a batch."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar

import torch
from torch import nn
from torch.nn.functional import one_hot

from withstand.data.space import Space
from withstand.errors import InputError
from withstand.functional.partition import partition
from withstand.functional.random import Rng
from withstand.functional.tensors import Points, Targets
from withstand.limits import NonEmpty, PositiveFloat
from withstand.perturbations.base import Draws, Perturbation
from withstand.perturbations.gaussian import Gaussian
from withstand.perturbations.identity import Identity

# The `draw` of a perturbation, or a function of the same arguments.
Draw = Callable[..., Draws]


@dataclass(frozen=True, kw_only=True)
class Mixture(Perturbation):
    """Splits a batch among several perturbations in fixed shares.

    In training, every batch is split in these shares, up to rounding to whole samples, and the samples of each part are
    chosen at random. In evaluation, the part is drawn for each sample, with the shares as probabilities, so that noise
    does not depend on the batch.

    Attributes:
        parts: The perturbations.
        shares: A positive number per part; only the proportions matter. None means equal shares.
    """

    operations: ClassVar = frozenset()

    parts: Annotated[tuple[Perturbation, ...], NonEmpty] = (Identity(), Gaussian())
    shares: tuple[PositiveFloat, ...] | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(self._shares()) != len(self.parts):
            raise InputError(f"Mixture: shares must be {len(self.parts)}, one per part, got {self.shares}.")

    def draw(self, x: Points, y: Targets, model: nn.Module, *, space: Space, num_draws: int, rng: Rng) -> Draws:
        """Split the batch, let every part draw for its samples, and put them back in place."""
        parts = [(share, None if isinstance(each, Identity) else each.draw) for share, each in self._pairs()]
        return draw_in_parts(parts, x, y, model, space=space, num_draws=num_draws, rng=rng)

    def _pairs(self) -> list[tuple[float, Perturbation]]:
        return list(zip(self._shares(), self.parts, strict=True))

    def _shares(self) -> tuple[float, ...]:
        return (1.0,) * len(self.parts) if self.shares is None else tuple(self.shares)

    @classmethod
    def examples(cls) -> list[Perturbation]:
        """Half clean and half noisy, and unequal shares of three."""
        return [
            cls(parts=(Identity(), Gaussian(std=0.5))),
            cls(parts=(Identity(), Gaussian(std=0.1), Gaussian(std=0.5)), shares=(5, 3, 2)),
        ]


def draw_in_parts(
    parts: Sequence[tuple[float, Draw | None]],
    x: Points,
    y: Targets,
    model: nn.Module,
    *,
    space: Space,
    num_draws: int,
    rng: Rng,
) -> Draws:
    """Split a batch at random, draw for every part, and put the copies in their places.

    Args:
        parts: Each part's share, above 0, and how to draw for its samples; None leaves them unchanged. Only the
            proportions of the shares matter. All copies of a sample are of one part.
        x: As of `Perturbation.draw`, like the other arguments.
        y: Labels.
        model: Maps inputs to logits.
        space: The input space.
        num_draws: Number of copies.
        rng: Source of randomness.
    """
    inputs = x.detach().repeat(num_draws, *[1] * x.ndim)
    log_weights = targets = None
    rows_of = partition([share for share, _ in parts], len(x), rng=rng)
    for (_, draw), (rows, source) in zip(parts, rows_of, strict=True):
        if len(rows) == 0 or draw is None:
            continue
        rows = rows.to(x.device)
        draws = draw(x[rows], y[rows], model, space=space, num_draws=num_draws, rng=source)
        inputs[:, rows] = draws.inputs
        if draws.log_weights is not None:
            if log_weights is None:
                log_weights = torch.zeros(num_draws, len(x), device=x.device)
            log_weights[:, rows] = draws.log_weights
        if draws.targets is not None:
            if targets is None:
                targets = one_hot(y, draws.targets.shape[2]).to(draws.targets.dtype).repeat(num_draws, 1, 1)
            targets[:, rows] = draws.targets
    return Draws(inputs, log_weights, targets)
