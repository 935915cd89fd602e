"""Speckle noise: Gaussian noise that grows with the value it is added to."""

from dataclasses import dataclass

from jaxtyping import Float, Real
from torch import Tensor, nn

from withstand.data.space import Space
from withstand.functional.random import Rng, normal
from withstand.perturbations.base import Draws, Perturbation, check_std
from withstand.perturbations.gaussian import choose


@dataclass(frozen=True, kw_only=True)
class Speckle(Perturbation):
    """Multiplicative Gaussian noise: clip(x + x n), n ~ N(0, std^2), independent per value.

    Attributes:
        std: Standard deviation of n; of several, each sample draws one.

    Source:
        Rusak et al. 2020, arXiv 2001.06057, section 3, with the five values that are the default here.
    """

    std: float | tuple[float, ...] = (0.15, 0.2, 0.35, 0.45, 0.6)

    def __post_init__(self) -> None:
        check_std("Speckle", self.std)

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
        std = choose((len(x), num_draws), check_std("Speckle", self.std), rng=rng, like=noise)
        return Draws(space.hold(x, x + x * (std * noise)))

    @classmethod
    def examples(cls) -> list[Perturbation]:
        """One and several standard deviations."""
        return [cls(std=0.6), cls()]
