"""Uniform noise."""

from dataclasses import dataclass

from jaxtyping import Float, Real
from torch import Tensor, nn

from withstand.data.space import Space
from withstand.functional.random import Rng, uniform
from withstand.perturbations.base import Draws, Perturbation, check_std
from withstand.perturbations.gaussian import choose


@dataclass(frozen=True, kw_only=True)
class UniformNoise(Perturbation):
    """Additive uniform noise with the standard deviation of the Gaussian it is compared with.

    clip(x + n), n uniform on [-sqrt(3) std, sqrt(3) std], independent per value.

    Attributes:
        std: Standard deviation in input units; of several, each sample draws one.

    Source:
        Rusak et al. 2020, arXiv 2001.06057, section 4 (uniform noise as one of the directions of noise).
    """

    std: float | tuple[float, ...] = 0.5

    def __post_init__(self) -> None:
        check_std("UniformNoise", self.std)

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
        noise = uniform((len(x), num_draws, *x.shape[1:]), rng=rng, device=x.device).movedim(1, 0)
        std = choose((len(x), num_draws), check_std("UniformNoise", self.std), rng=rng, like=noise)
        return Draws(space.hold(x, x + std * (noise - 0.5) * 12**0.5))

    @classmethod
    def examples(cls) -> list[Perturbation]:
        """One and several standard deviations."""
        return [cls(std=0.5), cls(std=(0.1, 0.2))]
