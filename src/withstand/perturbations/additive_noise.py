"""Additive noise, independent per value."""

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from withstand.data.space import Space
from withstand.functional.random import Rng, integers, normal
from withstand.functional.tensors import Device, Points, Targets
from withstand.limits import NonEmpty, NonNegativeFloat
from withstand.perturbations.base import Draws, Perturbation

Values = Float[Tensor, "draw batch *feature"]


@dataclass(frozen=True, kw_only=True)
class AdditiveNoise(Perturbation):
    """Noise that is added to the input and clipped to the box.

    Attributes:
        std: Standard deviation, in input units. If there are several, one is drawn for each sample.
    """

    operations: ClassVar = frozenset({"noise"})

    std: NonNegativeFloat | Annotated[tuple[NonNegativeFloat, ...], NonEmpty] = 0.5

    def numbers(self, shape: Sequence[int], *, rng: Rng, device: Device) -> Tensor:
        """Return the random numbers that the noise is made of; standard normal by default."""
        return normal(shape, rng=rng, device=device)

    @abstractmethod
    def added(self, x: Points, numbers: Values, std: Tensor) -> Values:
        """Return the noise to add to the inputs, from the numbers and each sample's standard deviation."""

    def draw(self, x: Points, y: Targets, model: nn.Module, *, space: Space, num_draws: int, rng: Rng) -> Draws:
        """Add the noise."""
        x = x.detach()
        numbers = self.numbers((len(x), num_draws, *x.shape[1:]), rng=rng, device=x.device).movedim(1, 0)
        return Draws(space.hold(x, x + self.added(x, numbers, self._std(numbers, rng))))

    def _std(self, like: Values, rng: Rng) -> Tensor:
        """Return one of the standard deviations per draw and sample; a single one needs no randomness."""
        values = self.std if isinstance(self.std, list | tuple) else (self.std,)
        if len(values) == 1:
            return torch.as_tensor(values[0], dtype=like.dtype, device=like.device)
        which = integers((like.shape[1], len(like)), 0, len(values), rng=rng, device=like.device).movedim(1, 0)
        chosen = torch.tensor(values, dtype=like.dtype, device=like.device)[which]
        return chosen.reshape(*chosen.shape, *[1] * (like.ndim - 2))
