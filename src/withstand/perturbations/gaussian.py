"""Gaussian noise with one or several standard deviations."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Real
from torch import Tensor, nn

from withstand.data.space import Space
from withstand.functional.random import Rng, integers, normal
from withstand.perturbations.base import Draws, Perturbation, check_std


@dataclass(frozen=True, kw_only=True)
class Gaussian(Perturbation):
    """Additive Gaussian noise, independent per value: clip(x + n), n ~ N(0, std^2).

    Attributes:
        std: Standard deviation in input units; of several, each sample draws one.

    Source:
        Rusak et al. 2020, arXiv 2001.06057, section 3: 0.5 for one, (.08, .12, .18, .26, .38) for several.
    """

    std: float | tuple[float, ...] = 0.5

    def __post_init__(self) -> None:
        check_std("Gaussian", self.std)

    def draw(
        self,
        x: Float[Tensor, "batch *feature"],
        y: Real[Tensor, " batch"],  # noqa: ARG002
        model: nn.Module,  # noqa: ARG002
        *,
        space: Space,
        num_draws: int,
        rng: Rng,
    ) -> Draws:
        """Add the noise."""
        x = x.detach()
        noise = normal((len(x), num_draws, *x.shape[1:]), rng=rng, device=x.device).movedim(1, 0)
        std = choose((len(x), num_draws), check_std("Gaussian", self.std), rng=rng, like=noise)
        return Draws(space.hold(x, x + std * noise))

    @classmethod
    def examples(cls) -> list[Perturbation]:
        """One and several standard deviations."""
        return [cls(std=0.5), cls(std=(0.08, 0.12, 0.18, 0.26, 0.38))]


def choose(
    shape: tuple[int, int], values: tuple[float, ...], *, rng: Rng, like: Float[Tensor, "draw batch *feature"]
) -> Tensor:
    """Return one of the values per sample and draw, shaped to multiply draws of inputs.

    Args:
        shape: (batch, draw).
        values: Values to choose from; a single value needs no randomness.
        rng: Source of randomness.
        like: The draws that will be multiplied.
    """
    if len(values) == 1:
        return torch.as_tensor(values[0], dtype=like.dtype, device=like.device)
    which = integers(shape, 0, len(values), rng=rng, device=like.device).movedim(1, 0)
    chosen = torch.tensor(values, dtype=like.dtype, device=like.device)[which]
    return chosen.reshape(*chosen.shape, *[1] * (like.ndim - 2))
