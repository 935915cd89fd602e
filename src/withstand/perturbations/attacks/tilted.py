"""Importance sampling in a box, tilted towards high loss."""

import math
from dataclasses import dataclass
from typing import Annotated, ClassVar

import torch
from annotated_types import Gt, Lt
from torch import Tensor, nn

from withstand.data.space import Space
from withstand.errors import InputError
from withstand.functional.losses import Climbed
from withstand.functional.random import Rng, uniform
from withstand.functional.tensors import Points, Targets
from withstand.functional.tilting import log_tilt, tilted_options, truncated_exponential
from withstand.limits import NonNegativeInt, Temperature, Within
from withstand.perturbations.ball import Ball
from withstand.perturbations.base import Draws, Perturbation
from withstand.perturbations.search.gradient import climbed_targets, loss_and_gradient

LOWEST_TEMPERATURE = 1e-6


@dataclass(frozen=True, kw_only=True)
class Tilted(Perturbation):
    r"""Importance sampling of the smoothed loss over an linf ball, tilted along the gradient.

    The gradient is taken at the corner that a few steps of ascent reach. Some draws are uniform in the ball, the others
    follow :math:`\exp(g \cdot \delta / \tau)`, the optimum for a linear loss. Log weights are exact for the mixture, so
    folds estimate the same as over uniform draws, with far fewer draws if the temperature is small compared with the
    gradient times the radius.

    Attributes:
        ball: An linf ball. Points outside the box are clipped to it, as with all draws from a ball.
        temperature: tau >= 0 in nats; None takes the objective's, or 1 / 100 without one.
        ascent_steps: Steps of ascent to the corner, at least 0.
        uniform_share: Share of uniform draws, above 0 and below 1, rounded to whole draws (at least one). Its inverse
            bounds the weights.
        loss: The loss to tilt towards, or the `divergence` from the prediction for the clean input.

    Source:
        Owen, Zhou: "Safe and Effective Importance Sampling", JASA 2000, for the mixture's weights.
    """

    operations: ClassVar = frozenset({"attack"})

    ball: Ball = Ball()
    temperature: Temperature | None = None
    ascent_steps: NonNegativeInt = 2
    uniform_share: Annotated[float, Within(Gt(0), Lt(1))] = 1 / 8
    loss: Climbed = "cross_entropy"

    needs_gradient: ClassVar[bool] = True
    needs_model: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.ball.norm != "linf":
            raise InputError(f"Tilted: the ball must be linf, got {self.ball.norm}.")

    @torch.no_grad()
    def draw(self, x: Points, y: Targets, model: nn.Module, *, space: Space, num_draws: int, rng: Rng) -> Draws:
        """Find the corner, draw the uniform ones first, and weigh all of them."""
        x = x.detach()
        radii, gradient = self.ball.radii(x, space=space), self._gradient(x, y, model, space)
        temperature = max(1e-2 if self.temperature is None else self.temperature, LOWEST_TEMPERATURE)
        slope = (gradient * radii / temperature).flatten(1).unsqueeze(1).expand(-1, num_draws, -1)
        num_uniform = round(num_draws * self.uniform_share)
        if num_draws > 1:
            num_uniform = min(max(num_uniform, 1), num_draws - 1)
        numbers = uniform(slope.shape, rng=rng, device=x.device).to(slope.dtype)
        points = 2 * numbers - 1
        share = num_uniform / num_draws
        tilted = (torch.arange(num_draws, device=x.device) >= num_uniform).expand(len(x), -1)
        if num_draws == 1:
            # A single draw is uniform with this probability.
            share = self.uniform_share
            tilted = uniform((len(x), 1), rng=rng, device=x.device) >= share
            points = torch.where(tilted.unsqueeze(2), truncated_exponential(slope, numbers), points)
        else:
            points[:, num_uniform:] = truncated_exponential(slope[:, num_uniform:], numbers[:, num_uniform:])
        ratio = log_tilt(slope, points)
        inputs = x + points.to(x.dtype).transpose(0, 1).reshape(num_draws, *x.shape) * radii
        inputs = space.clip(inputs)
        for each in self.ball.options(x, space=space):
            chances = uniform((len(x), num_draws), rng=rng, device=x.device)
            chosen, more = tilted_options(each.gains(gradient) / temperature, chances, tilted)
            each.put(inputs, chosen.T)
            ratio = ratio + more
        mixture = torch.logaddexp(ratio + math.log1p(-share), torch.full_like(ratio, math.log(share)))
        return Draws(self.ball.repaired(x, inputs, space=space), -mixture.T.contiguous())

    def _gradient(self, x: Tensor, y: Tensor, model: nn.Module, space: Space) -> Tensor:
        """Return the gradient at the corner, in 32 bits or more."""
        corner, y = x, climbed_targets(model, x, y, self.loss)
        for _ in range(self.ascent_steps):
            _, gradient, _ = loss_and_gradient(model, corner, y, self.loss, steep=True)
            corner = self.ball.ascend(x, x, gradient, space=space)
        _, gradient, _ = loss_and_gradient(model, corner, y, self.loss)
        return gradient if gradient.dtype == torch.float64 else gradient.float()

    @classmethod
    def examples(cls) -> list[Perturbation]:
        """A low and a high temperature."""
        return [cls(ball=Ball("linf", 0.1)), cls(ball=Ball("linf", 0.3), temperature=1.0, ascent_steps=0)]
