"""Several perturbations that share a batch."""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Real
from torch import Tensor, nn
from torch.nn.functional import one_hot

from withstand.data.space import Space
from withstand.errors import InputError
from withstand.functional.random import Rng, partition
from withstand.perturbations.base import Draws, Perturbation
from withstand.perturbations.gaussian import Gaussian
from withstand.perturbations.identity import Identity


@dataclass(frozen=True, kw_only=True)
class Mixture(Perturbation):
    """Each sample of the batch goes to one of several perturbations, in fixed shares.

    In training the shares hold in every batch (to the rounding of one sample) and the samples are chosen at random. In
    evaluation every sample chooses for itself, with the shares as probabilities, so that its noise does not depend on
    the batch around it.

    Attributes:
        parts: The perturbations.
        shares: A positive number for each; only the proportions count. None means equal shares.
    """

    parts: tuple[Perturbation, ...] = (Identity(), Gaussian())
    shares: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        if not self.parts:
            raise InputError("Mixture: parts must name at least one perturbation, got none.")
        shares = self._shares()
        if len(shares) != len(self.parts) or any(not 0 < each < float("inf") for each in shares):
            raise InputError(
                f"Mixture: shares must be {len(self.parts)} positive numbers, one per part, got {self.shares}."
            )

    def draw(
        self,
        x: Float[Tensor, "batch *feature"],
        y: Real[Tensor, " batch"],
        model: nn.Module,
        *,
        space: Space,
        num_draws: int,
        rng: Rng,
    ) -> Draws:
        """Split the batch, let every part draw for its samples, and put them back in place."""
        inputs = x.detach().repeat(num_draws, *[1] * x.ndim)
        log_weights = targets = None
        parts = partition(self._shares(), len(x), rng=rng)
        for perturbation, (rows, source) in zip(self.parts, parts, strict=True):
            if len(rows) == 0 or isinstance(perturbation, Identity):
                continue
            rows = rows.to(x.device)
            draws = perturbation.draw(x[rows], y[rows], model, space=space, num_draws=num_draws, rng=source)
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

    def tempered(self, temperature: float) -> Perturbation:
        """Pass it on to the parts."""
        return replace(self, parts=tuple(each.tempered(temperature) for each in self.parts))

    def _shares(self) -> tuple[float, ...]:
        return (1.0,) * len(self.parts) if self.shares is None else tuple(self.shares)

    @classmethod
    def examples(cls) -> list[Perturbation]:
        """Half clean and half noisy, and unequal shares of three."""
        return [
            cls(parts=(Identity(), Gaussian(std=0.5))),
            cls(parts=(Identity(), Gaussian(std=0.1), Gaussian(std=0.5)), shares=(5, 3, 2)),
        ]
