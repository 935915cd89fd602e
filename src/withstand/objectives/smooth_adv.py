"""Adversarial training of the smoothed model (SmoothAdv)."""

from dataclasses import dataclass
from math import log
from typing import ClassVar

from jaxtyping import Float
from torch import Tensor, nn

from withstand.data.space import Space
from withstand.functional.losses import loss_per_sample
from withstand.functional.random import Rng, branches, normal
from withstand.functional.tensors import PerRow, Points, Targets
from withstand.limits import PositiveFloat, PositiveInt
from withstand.objectives.base import Objective, Stateful, Step, weighted_mean
from withstand.objectives.folds.base import log_probabilities
from withstand.perturbations.attacks.pgd import PGD
from withstand.perturbations.ball import Ball


class Smoothed(nn.Module):
    """The logarithm of the mean probabilities of a model over noise of each row; rows keep their order."""

    def __init__(self, model: nn.Module, noise: Float[Tensor, "draw batch *feature"]) -> None:
        """Keep model and noise."""
        super().__init__()
        self.model, self.noise = model, noise

    def forward(self, x: Points) -> Float[Tensor, "batch class"]:
        """Return the logarithms."""
        outputs = self.model((x + self.noise).flatten(0, 1)).unflatten(0, self.noise.shape[:2])
        return log_probabilities(outputs).logsumexp(0) - log(len(self.noise))


@dataclass(frozen=True, kw_only=True)
class SmoothAdv(Objective):
    r"""Cross entropy under Gaussian noise around points that attack the smoothed model, for `RandomizedSmoothing`.

    .. math:: \frac{1}{m} \sum_i \ell(f(x' + \eta_i)), \quad
        x' = \arg\max_{x' \in B(x)} -\log \frac{1}{m} \sum_i p_y(x' + \eta_i), \quad \eta_i \sim N(0, std^2)

    `PGD` searches x' under the same noise. x' lies in the box of the inputs, but noisy inputs are not clipped to it, as
    in the certificate; the perturbation `Gaussian` clips them. With radius 0, this is noise training for certificates.

    Attributes:
        std: Standard deviation of the noise, in the unit of the ball; use the same for the certificate. Fixed features
            of tables get none.
        num_draws: Noise vectors m per sample and step.
        ball: Where to search x'; published with l2 and a radius of 0.25 to 2.
        steps: Gradient steps of the search, at least 1.
        reach: Sum of the lengths of all steps, in radii, > 0.

    Source:
        Salman, Li, Razenshteyn, Zhang, Zhang, Bubeck, Yang 2019, arXiv 1906.04584, section 2.2, with 1 to 8 noise
        vectors and 2 to 10 steps of 2 radii in total; noise training: Cohen, Rosenfeld, Kolter 2019, arXiv 1902.02918.
        Differs: `PGD` starts at a random point and keeps the best point; the radius does not warm up.
    """

    operations: ClassVar = frozenset({"noise", "attack"})

    std: PositiveFloat = 0.25
    num_draws: PositiveInt = 2
    ball: Ball = Ball("l2", 0.5)
    steps: PositiveInt = 2
    reach: PositiveFloat = 2.0

    def check(self, space: Space) -> None:
        """Check the ball."""
        self.ball.check(space)

    def step(
        self,
        model: nn.Module,
        x: Points,
        y: Targets,
        *,
        weight: PerRow | None = None,
        space: Space,
        state: Stateful,
        count: int,
        rng: Rng,
    ) -> Step:
        """Draw noise, attack the smoothed model under it, and average the losses under the same noise."""
        branch = branches(rng)
        std = Ball("l2", self.std, unit=self.ball.unit).radii(x, space=space)
        noise = normal((len(x), self.num_draws, *x.shape[1:]), rng=branch(0), device=x.device).movedim(1, 0) * std
        if self.ball.radius != 0:
            attack, smoothed = PGD(ball=self.ball, steps=self.steps, reach=self.reach), Smoothed(model, noise)
            x = attack.draw(x, y, smoothed, space=space, num_draws=1, rng=branch(1)).inputs[0]
        outputs = model((x + noise).flatten(0, 1))
        losses = loss_per_sample(outputs, y.repeat(self.num_draws)).unflatten(0, (self.num_draws, len(x)))
        return Step(weighted_mean(losses.mean(0), weight), {})

    @classmethod
    def examples(cls) -> list[Objective]:
        """Published values, and noise training."""
        return [cls(), cls(std=0.5, num_draws=1, ball=Ball("l2", 0.0))]
