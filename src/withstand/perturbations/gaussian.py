"""Gaussian noise with one or several standard deviations."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from withstand.configuration import added
from withstand.functional.random import Rng, integers, normal
from withstand.perturbations.base import Box, Draws, Perturbation, check_box, check_std, clip, hold


@dataclass(frozen=True, kw_only=True)
class Gaussian(Perturbation):
    """Additive Gaussian noise, independent per value: clip(x + n), n ~ N(0, std^2).

    Attributes:
        std: Standard deviation in input units; of several, each sample draws one.
        box: Lowest and highest value of the result; None takes the data's own.
        fixed: Numbers of the features of a table that stay as they are; None takes those that may not change.

    Source:
        Rusak et al. 2020, arXiv 2001.06057, section 3: 0.5 for one, (.08, .12, .18, .26, .38) for several.
    """

    std: float | tuple[float, ...] = 0.5
    box: Box | None = None
    fixed: tuple[int, ...] | None = added(None)

    def __post_init__(self) -> None:
        check_std("Gaussian", self.std)
        check_box("Gaussian", self.box)

    def draw(
        self,
        x: Float[Tensor, "batch *feature"],
        y: Int[Tensor, " batch"],  # noqa: ARG002
        model: nn.Module,  # noqa: ARG002
        *,
        num_draws: int,
        rng: Rng,
    ) -> Draws:
        """Add the noise."""
        x = x.detach()
        noise = normal((len(x), num_draws, *x.shape[1:]), rng=rng, device=x.device).movedim(1, 0)
        std = choose((len(x), num_draws), check_std("Gaussian", self.std), rng=rng, like=noise)
        return Draws(hold(x, clip(x + std * noise, self.box), self.fixed))

    @classmethod
    def examples(cls) -> list[Perturbation]:
        """One and several standard deviations."""
        return [cls(std=0.5, box=(0.0, 1.0)), cls(std=(0.08, 0.12, 0.18, 0.26, 0.38))]


def choose(
    shape: tuple[int, int], values: tuple[float, ...], *, rng: Rng, like: Float[Tensor, "draw batch *feature"]
) -> Tensor:
    """Return one of the values per sample and draw, shaped to multiply draws of inputs.

    Args:
        shape: (batch, draw).
        values: What to choose from; of one value nothing random is needed.
        rng: Source of randomness.
        like: The draws that will be multiplied.
    """
    if len(values) == 1:
        return torch.as_tensor(values[0], dtype=like.dtype, device=like.device)
    which = integers(shape, 0, len(values), rng=rng, device=like.device).movedim(1, 0)
    chosen = torch.tensor(values, dtype=like.dtype, device=like.device)[which]
    return chosen.reshape(*chosen.shape, *[1] * (like.ndim - 2))
