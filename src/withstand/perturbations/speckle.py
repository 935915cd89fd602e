"""Speckle noise: Gaussian noise that grows with the value it is added to."""

from dataclasses import dataclass

from jaxtyping import Float, Int
from torch import Tensor, nn

from withstand.configuration import added
from withstand.functional.random import Rng, normal
from withstand.perturbations.base import Box, Draws, Perturbation, check_box, check_std, clip, hold
from withstand.perturbations.gaussian import choose


@dataclass(frozen=True, kw_only=True)
class Speckle(Perturbation):
    """Multiplicative Gaussian noise: clip(x + x n), n ~ N(0, std^2), independent per value.

    Attributes:
        std: Standard deviation of n; of several, each sample draws one.
        box: Lowest and highest value of the result; None takes the data's own.
        fixed: Numbers of the features of a table that stay as they are; None takes those that may not change.

    Source:
        Rusak et al. 2020, arXiv 2001.06057, section 3, with the five values that are the default here.
    """

    std: float | tuple[float, ...] = (0.15, 0.2, 0.35, 0.45, 0.6)
    box: Box | None = None
    fixed: tuple[int, ...] | None = added(None)

    def __post_init__(self) -> None:
        check_std("Speckle", self.std)
        check_box("Speckle", self.box)

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
        std = choose((len(x), num_draws), check_std("Speckle", self.std), rng=rng, like=noise)
        return Draws(hold(x, clip(x + x * (std * noise), self.box), self.fixed))

    @classmethod
    def examples(cls) -> list[Perturbation]:
        """One and several standard deviations."""
        return [cls(std=0.6, box=(0.0, 1.0)), cls()]
