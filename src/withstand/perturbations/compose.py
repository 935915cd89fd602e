"""Perturbations one after the other."""

from dataclasses import dataclass
from typing import Annotated, ClassVar

import torch
from torch import Tensor, nn
from torch.nn.functional import one_hot

from withstand.data.space import Space
from withstand.errors import InputError
from withstand.functional.random import Rng
from withstand.functional.tensors import Points, Targets
from withstand.limits import NonEmpty
from withstand.perturbations.base import Draws, Perturbation
from withstand.perturbations.gaussian import Gaussian
from withstand.perturbations.identity import Identity
from withstand.perturbations.speckle import Speckle


@dataclass(frozen=True, kw_only=True)
class Compose(Perturbation):
    """Applies several perturbations, one after the other.

    Each works on the copies of the one before, so a ball that comes second lies around a changed input. One of them at
    most may change labels, as `Mixup` does.

    Attributes:
        parts: The perturbations, in order.
    """

    operations: ClassVar = frozenset()

    parts: Annotated[tuple[Perturbation, ...], NonEmpty] = (Identity(), Gaussian())

    def draw(self, x: Points, y: Targets, model: nn.Module, *, space: Space, num_draws: int, rng: Rng) -> Draws:
        """Draw all copies with the first part, and change each by one draw of every other part."""
        first, *others = self.parts
        draws = first.draw(x, y, model, space=space, num_draws=num_draws, rng=rng)
        for part in others:
            each = [part.draw(copy, y, model, space=space, num_draws=1, rng=rng) for copy in draws.inputs]
            draws = _joined(draws, each, y)
        return draws

    @classmethod
    def examples(cls) -> list[Perturbation]:
        """Two kinds of noise."""
        return [cls(parts=(Speckle(std=0.2), Gaussian(std=0.1)))]


def _joined(before: Draws, after: list[Draws], y: Tensor) -> Draws:
    weighted = [each.log_weights for each in after if each.log_weights is not None]
    labelled = [each.targets for each in after if each.targets is not None]
    if before.targets is not None and labelled:
        raise InputError("Compose: expected at most one part that changes labels, got two.")
    weights, targets = before.log_weights, before.targets
    # A mixture may give weights or labels to some of the copies only.
    if weighted:
        own = torch.cat(
            [weighted[0].new_zeros(1, len(y)) if each.log_weights is None else each.log_weights for each in after]
        )
        weights = own if weights is None else weights + own
    if labelled:
        same = one_hot(y.long(), labelled[0].shape[2]).to(labelled[0].dtype)[None]
        targets = torch.cat([same if each.targets is None else each.targets for each in after])
    return Draws(torch.cat([each.inputs for each in after]), weights, targets)
