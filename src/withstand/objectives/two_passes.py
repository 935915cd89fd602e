"""The smoothed loss over many draws in little memory: a pass without gradient, then one with."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks
from torch.utils.checkpoint import checkpoint

from withstand.data.space import Space
from withstand.functional.losses import Loss, loss_per_sample
from withstand.functional.precision import in_double
from withstand.functional.random import BatchStream, Rng, branches, uniform
from withstand.functional.risks import soft_maximum, weights_of_draws
from withstand.functional.tensors import PerRow, Points, Targets
from withstand.models.frozen import evaluating
from withstand.objectives.base import weighted_mean
from withstand.perturbations.base import Draws, Perturbation
from withstand.perturbations.draws import targets_of

# In the second pass more points than this many times those at once are drawn and computed piece by piece, each twice.
PIECES_KEPT = 8
# Losses that are weighted together, in a few copies of double precision: 16 MB each.
LOSSES_AT_ONCE = 2**21
# Makes a piece of the draws from its number and its number of draws; repeatable.
Draw = Callable[[int, int], Draws]


class Chunk(NamedTuple):
    """A piece of the draws of all samples.

    Attributes:
        number: What its draws derive from.
        start: The first draw.
        stop: The one behind the last.
    """

    number: int
    start: int
    stop: int


class Chosen(NamedTuple):
    """The points of a piece that the gradient goes through, and their weights."""

    number: int
    points: Bool[Tensor, "draw batch"]
    weight: Float[Tensor, " point"]


class FirstPass(NamedTuple):
    """Losses and weights of all draws."""

    losses: Float[Tensor, "draw batch"]
    log_weights: Float[Tensor, "draw batch"] | None


@dataclass(frozen=True, kw_only=True)
class TwoPasses:
    """The soft maximum over many draws, in two passes.

    Attributes:
        perturbation: Makes the draws.
        num_draws: Number of draws per sample.
        temperature: tau >= 0 in nats.
        loss: Loss of every draw.
        label_smoothing: For cross entropy.
        num_kept: Number of draws per sample to backpropagate through, sampled by weight; None takes all that matter.
        tolerance: Share of the gradient that may be left out if num_kept is None.
        points_at_once: Number of inputs per forward pass; halved whenever memory runs out, which does not change the
            draws.
    """

    perturbation: Perturbation
    num_draws: int
    temperature: float
    loss: Loss
    label_smoothing: float
    num_kept: int | None
    tolerance: float
    points_at_once: int

    def __call__(
        self, model: nn.Module, x: Points, y: Targets, *, weight: PerRow | None = None, space: Space, rng: Rng
    ) -> Float[Tensor, ""]:
        """Return the mean of the weighted soft maxima, whose gradient goes through the draws that matter."""
        branch, at_once = branches(rng), max(self.points_at_once, 1)
        # Which draws come from one source depends on the whole batch, neither on a process's share nor on its memory.
        rows = rng.total if isinstance(rng, BatchStream) else len(x)
        some = min(self.num_draws, max(1, at_once // max(1, rows)))

        def draw(number: int, num_draws: int) -> Draws:
            return self.perturbation.draw(x, y, model, space=space, num_draws=num_draws, rng=branch(number))

        offset = uniform((len(x), 1), rng=branch(-1), device=x.device)
        starts = range(0, self.num_draws, some)
        chunks = [Chunk(number, start, min(start + some, self.num_draws)) for number, start in enumerate(starts)]
        while True:
            try:
                return self._both(model, y, weight, chunks, draw, offset, at_once)
            except torch.OutOfMemoryError:
                if at_once == 1:
                    raise
                at_once //= 2

    def _both(
        self,
        model: nn.Module,
        y: Tensor,
        weight: Tensor | None,
        chunks: list[Chunk],
        draw: Draw,
        offset: Tensor,
        at_once: int,
    ) -> Float[Tensor, ""]:
        first = self._first(model, y, chunks, draw, at_once)
        chosen, weights, values = self._choose(first, offset)
        del first
        if weight is not None:
            weights *= weight
        own: list[Chosen] = []
        for each in chunks:
            points = chosen[each.start : each.stop]
            if points.any():
                own.append(Chosen(each.number, points, weights[each.start : each.stop][points]))
        del weights

        def weighted(group: list[Chosen]) -> Tensor:
            return self._weighted(model, y, group, draw, at_once)

        if int(chosen.sum()) <= PIECES_KEPT * at_once:
            surrogate = weighted(own)
        else:
            # Neither points nor activations are kept for the backward pass: both are computed again.
            sums = [checkpoint(weighted, group, use_reentrant=False) for group in _groups(own, at_once)]
            surrogate = torch.stack(sums).sum()  # pyright: ignore[reportArgumentType, reportCallIssue]
        surrogate = surrogate / max(1, len(y))
        # The value of all draws, with the gradient of the chosen ones.
        return surrogate + (weighted_mean(values, weight) - surrogate.detach())

    @torch.no_grad()
    def _first(self, model: nn.Module, y: Tensor, chunks: list[Chunk], draw: Draw, at_once: int) -> FirstPass:
        losses = torch.empty(self.num_draws, len(y), device=y.device)
        log_weights = None
        for number, start, stop in chunks:
            draws = draw(number, stop - start)
            targets = targets_of(draws, y)
            pieces = zip(draws.inputs.flatten(0, 1).split(at_once), targets.split(at_once), strict=True)
            with evaluating(model):
                own = [self._losses(model, *piece) for piece in pieces]
            losses[start:stop] = torch.cat(own).view(stop - start, len(y))
            if draws.log_weights is not None:
                if log_weights is None:
                    log_weights = torch.zeros_like(losses)
                log_weights[start:stop] = draws.log_weights
        return FirstPass(losses, log_weights)

    def _choose(self, first: FirstPass, offset: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return which draws the gradient goes through, with what weights, and the values; some samples at a time."""
        chosen = torch.empty_like(first.losses, dtype=torch.bool)
        weights, values = torch.empty_like(first.losses), []
        for part in torch.arange(first.losses.shape[1]).split(max(1, LOSSES_AT_ONCE // max(1, len(first.losses)))):
            some = slice(int(part[0]), int(part[-1]) + 1)
            losses = first.losses[:, some]
            log_weights = None if first.log_weights is None else first.log_weights[:, some]
            values.append(soft_maximum(losses, temperature=self.temperature, log_weights=log_weights))
            own = weights_of_draws(losses, temperature=self.temperature, log_weights=log_weights)
            if self.num_kept is None:
                chosen[:, some] = self._that_matter(losses, own)
                weights[:, some] = own
            else:
                counts = resample(own, self.num_kept, offset[some])
                chosen[:, some] = counts > 0
                weights[:, some] = counts / self.num_kept
        return chosen, weights, torch.cat(values)

    def _that_matter(self, losses: Tensor, weights: Tensor) -> Tensor:
        """Return which draws to keep so that at most the tolerated share of each sample's gradient is lost."""
        size = weights
        if self.loss == "cross_entropy" and self.label_smoothing == 0:
            # The gradient of cross entropy by the logits is at most sqrt(2) (1 - the label's probability).
            size = weights * -torch.expm1(-losses)
        allowed = self.tolerance * size.sum(0)
        kept = size > allowed / max(1, len(size))
        # Every sample keeps its highest draw, even if its gradient is 0.
        return kept.scatter_(0, size.argmax(0, keepdim=True), True)

    def _weighted(self, model: nn.Module, y: Tensor, group: list[Chosen], draw: Draw, at_once: int) -> Tensor:
        """Return the weighted sum of the losses at the chosen points of some pieces, with its graph."""
        found, targets = [], []
        # The search of an attack is not part of the graph, nor of the checkpointed computation.
        with saved_tensors_hooks(_same, _same):
            for number, chosen, _ in group:
                draws = draw(number, len(chosen))
                found.append(draws.inputs[chosen])
                targets.append(targets_of(draws, y)[chosen.flatten()])
        points, labels, weight = torch.cat(found), torch.cat(targets), torch.cat([each.weight for each in group])

        def part(points: Tensor, y: Tensor, weight: Tensor) -> Tensor:
            return (weight * self._losses(model, points, y)).sum()

        if len(points) <= PIECES_KEPT * at_once:
            return part(points, labels, weight)
        pieces = zip(points.split(at_once), labels.split(at_once), weight.split(at_once), strict=True)
        sums = [checkpoint(part, *piece, use_reentrant=False) for piece in pieces]
        return torch.stack(sums).sum()  # pyright: ignore[reportArgumentType, reportCallIssue]

    def _losses(self, model: nn.Module, points: Tensor, y: Tensor) -> Tensor:
        return loss_per_sample(model(points), y, self.loss, label_smoothing=self.label_smoothing)


def _groups(pieces: list[Chosen], at_once: int) -> Iterator[list[Chosen]]:
    """Yield pieces in groups of at least `at_once` points."""
    group: list[Chosen] = []
    for each in pieces:
        group.append(each)
        if sum(len(one.weight) for one in group) >= at_once:
            yield group
            group = []
    if group:
        yield group


def _same(tensor: Tensor) -> Tensor:
    return tensor


def resample(
    weights: Float[Tensor, "draw batch"], count: int, offset: Float[Tensor, "batch 1"]
) -> Float[Tensor, "draw batch"]:
    """Return how often each draw is taken when `count` are taken by their weights: systematic resampling, unbiased.

    Args:
        weights: At least 0, with sum 1 over the draws.
        count: How many are taken per sample.
        offset: Numbers uniform in [0, 1).

    Example:
        >>> resample(torch.tensor([[0.75], [0.25]]), 4, torch.tensor([[0.5]]))
        tensor([[3.],
                [1.]])
    """
    ends = in_double(weights.T).cumsum(1)
    ends = (ends / ends[:, -1:]).mul_(count).sub_(in_double(offset)).ceil_().clamp_(0, count)
    # The number of places k + offset below an end, less those below the one before.
    return ends.diff(dim=1, prepend=ends.new_zeros(len(ends), 1)).T.to(weights)
