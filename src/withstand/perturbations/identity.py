"""The unchanged input."""

from dataclasses import dataclass

from jaxtyping import Float, Real
from torch import Tensor, nn

from withstand.data.space import Space
from withstand.functional.random import Rng
from withstand.perturbations.base import Draws, Perturbation


@dataclass(frozen=True, kw_only=True)
class Identity(Perturbation):
    """The unchanged input: plain training and clean accuracy."""

    @property
    def condition(self) -> str:
        """The word that every table uses for unchanged inputs."""
        return "clean"

    def draw(
        self,
        x: Float[Tensor, "batch *feature"],
        y: Real[Tensor, " batch"],  # noqa: ARG002
        model: nn.Module,  # noqa: ARG002
        *,
        space: Space,  # noqa: ARG002
        num_draws: int,
        rng: Rng,  # noqa: ARG002
    ) -> Draws:
        """Return the input itself, as a view."""
        return Draws(x.detach().expand(num_draws, *x.shape))

    @classmethod
    def examples(cls) -> list[Perturbation]:
        """The only one there is."""
        return [cls()]
