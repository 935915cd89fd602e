"""Smoothed models: gradients of the mean over noise."""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from withstand.functional.random import stream
from withstand.functional.tensors import Points
from withstand.perturbations.search.frame import Frame


class Smoothed(nn.Module):
    """The mean outputs of a model over fixed noise, the same for every row, with the gradient of this mean.

    Attributes:
        num_draws: Draws; every value and gradient costs twice as many passes.

    Source:
        Differences: the antithetic estimate of Salimans et al. 2017, arXiv 1703.03864, section 2.1.
    """

    def __init__(self, model: nn.Module, noise: Float[Tensor, "draw *feature"], *, differences: bool = False) -> None:
        """Keep model and noise.

        Args:
            model: Maps inputs to logits.
            noise: Noise added to the inputs.
            differences: Whether to estimate gradients from outputs at both signs of the noise, for models without
                useful ones; otherwise they are the mean of the model's gradients.
        """
        super().__init__()
        self.model, self.noise, self.differences, self.num_draws = model, noise, differences, len(noise)

    def forward(self, x: Points) -> Float[Tensor, "batch class"]:
        """Return the mean outputs."""
        if self.differences:
            return _Differences.apply(x, self.model, self.noise)  # pyright: ignore[reportReturnType]
        return torch.stack([self.model(x + each) for each in self.noise]).mean(0)


class _Differences(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, model: nn.Module, noise: Tensor) -> Tensor:
        up, down = (torch.stack([model(x + sign * each) for each in noise]).to(x.dtype) for sign in (1, -1))
        ctx.save_for_backward(up - down, noise)
        return (up + down).mean(0) / 2

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        change, noise = ctx.saved_tensors
        along = (change * gradients[0]).nan_to_num().sum(2) / 2  # (draw, batch)
        scaled = noise / noise.square().mean(0).clamp_min(1e-30) / len(noise)
        return torch.einsum("db,d...->b...", along, scaled), None, None


def noise_of(frame: Frame, *, num_draws: int) -> Float[Tensor, "draw *feature"]:
    """Return normal noise in the ball of a frame: half a radius long, the same for every row and every call.

    Features that do not move get none.
    """
    shape = (num_draws, frame.low.shape[1])
    u = torch.randn(shape, generator=stream(0, "smoothed")).to(frame.x.device)
    typical = frame.length(u.where(frame.radii[:1] > 0, 0)).median().clamp_min(1e-30)
    return (u / typical / 2 * frame.radii[:1]).view(num_draws, *frame.x.shape[1:])
