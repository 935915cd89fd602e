"""Langevin sampling in a ball, in proportion to the exponential of the loss."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from withstand.data.space import Space
from withstand.functional.losses import Climbed
from withstand.functional.random import Rng, normal, uniform
from withstand.functional.tensors import Points, Targets
from withstand.limits import NonNegativeInt, PositiveFloat, PositiveInt, Temperature
from withstand.perturbations.ball import Ball
from withstand.perturbations.base import Draws, Perturbation
from withstand.perturbations.search.gradient import climbed_targets, loss_and_gradient

LOWEST_TEMPERATURE = 1e-6


@dataclass(frozen=True, kw_only=True)
class Langevin(Perturbation):
    r"""Langevin chain in a ball that samples in proportion to exp(loss / tau).

    Every step adds the gradient of the row's own loss over tau, times the step size, and normal numbers times
    the root of twice the step size. Points that leave an linf ball are reflected at its walls; other balls project.
    Inputs with options jump to other options between steps, with Metropolis acceptance.
    Log weights are minus the loss over tau, which compensates the density of the states. The gradient of the smoothed
    loss is then the plain mean of the states' gradients.

    Attributes:
        ball: The norm, radius and box.
        temperature: tau >= 0 in nats; None takes the objective's, or 1 / 100 without one.
        step: Step size in squared radii, > 0. Reduced for rows whose drift exceeds a tenth of the radius.
        burn_in: Steps before the first state that is returned, at least 0.
        thinning: Steps between returned states, at least 1.
        loss: The loss whose gradient the chain follows, or the `divergence` from the prediction for the clean input.

    Source:
        Roberts, Tweedie: "Exponential convergence of Langevin distributions and their discrete approximations",
        Bernoulli 1996; reflection: Bubeck, Eldan, Lehec: "Sampling from a log-concave distribution with projected
        Langevin Monte Carlo", 2018.
        Differs from the published training of the Avila study, which takes random-walk steps.
    """

    operations: ClassVar = frozenset({"attack"})

    ball: Ball = Ball()
    temperature: Temperature | None = None
    step: PositiveFloat = 0.02
    burn_in: NonNegativeInt = 10
    thinning: PositiveInt = 2
    loss: Climbed = "cross_entropy"

    needs_gradient: ClassVar[bool] = True
    needs_model: ClassVar[bool] = True

    @torch.no_grad()
    def draw(self, x: Points, y: Targets, model: nn.Module, *, space: Space, num_draws: int, rng: Rng) -> Draws:
        """Run one chain per row from a uniform point of the ball."""
        x, radii, y = x.detach(), self.ball.radii(x, space=space), climbed_targets(model, x, y, self.loss)
        points = self.ball.sample(x, space=space, num_draws=1, rng=rng)[0]
        temperature = max(1e-2 if self.temperature is None else self.temperature, LOWEST_TEMPERATURE)
        taken = {self.burn_in + number * self.thinning for number in range(num_draws)}
        step, states, losses_taken = x.new_full((len(x), *[1] * (x.ndim - 1)), self.step), [], []
        for count in range(max(taken) + 1):
            losses, gradient, _ = loss_and_gradient(model, points, y, self.loss)
            if space.changes:
                jump = self._jump(x, y, model, points, losses, gradient, temperature, space=space, rng=rng)
                points, losses, gradient = jump
            if count in taken:
                states.append(points)
                losses_taken.append(losses)
            if len(states) == num_draws:
                break
            # In radii, so that features of different radii mix alike.
            drift = gradient * radii / temperature
            # The first gradient is not representative: a confident network is flat there and steep further away.
            longest = drift.flatten(1).abs().amax(1).view(-1, *[1] * (x.ndim - 1))
            step = torch.minimum(step, 0.1 / longest.clamp_min(1e-30))
            noise = normal(x.shape, rng=rng, device=x.device).to(x.dtype)
            moved = points + (step * drift + (2 * step).sqrt() * noise) * radii
            points = self._inside(x, moved, radii, space)
        return Draws(torch.stack(states), -torch.stack(losses_taken) / temperature)

    def _jump(
        self,
        x: Tensor,
        y: Tensor,
        model: nn.Module,
        points: Tensor,
        losses: Tensor,
        gradient: Tensor,
        temperature: float,
        *,
        space: Space,
        rng: Rng,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return points, losses and gradients after redrawing one change of each row, if that was accepted."""
        which, option, chance = uniform((len(points), 3), rng=rng, device=points.device).unbind(1)
        proposed, changing = points.clone(), self.ball.options(x, space=space)
        for number, each in enumerate(changing):
            moved = points.clone()
            each.put(moved, (option * each.num).long())
            proposed = torch.where(((which * len(changing)).long() == number)[:, None], moved, proposed)
        if space.rules is not None:
            proposed = torch.where(space.rules.are_legal(proposed)[:, None], proposed, points)
        new_losses, new_gradient, _ = loss_and_gradient(model, proposed, y, self.loss)
        accepted = chance.log() < (new_losses - losses) / temperature
        return (
            torch.where(accepted[:, None], proposed, points),
            torch.where(accepted, new_losses, losses),
            torch.where(accepted[:, None], new_gradient, gradient),
        )

    def _inside(self, x: Tensor, points: Tensor, radii: float | Tensor, space: Space) -> Tensor:
        if self.ball.norm == "linf":
            relative = torch.where((points - x) == 0, 0.0, (points - x) / radii)
            # Folded at the walls of [-1, 1]: a wave of period 4.
            folded = (torch.remainder(relative + 1, 4) - 2).abs()
            inside = x + (1 - folded) * radii
            for change in space.changes:
                inside[:, change.inputs] = points[:, change.inputs]
            points = inside
        return self.ball.project(x, points, space=space)

    @classmethod
    def examples(cls) -> list[Perturbation]:
        """Short chains, in one ball of each norm."""
        return [
            cls(ball=Ball("linf", 0.1), burn_in=2),
            cls(ball=Ball("l2", 0.5), temperature=1.0, burn_in=1, thinning=1),
            cls(ball=Ball("l1", 1.0), temperature=0.1, burn_in=0),
        ]
