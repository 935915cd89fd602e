"""Columns that ride behind the features: each row's target or weight, which no perturbation may touch.

Objectives and perturbations know inputs and labels of classes alone. So that they need no further argument, a target
that is a number and a weight travel as further columns of the input: there every draw of a row, and every subset of the
rows that an attack goes on with, has its own at hand.
"""

from dataclasses import dataclass, replace
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from withstand.errors import InputError
from withstand.functional.random import Rng
from withstand.objectives.base import Objective
from withstand.objectives.perturbed_risk import PerturbedRisk
from withstand.perturbations.ball import Ball
from withstand.perturbations.base import Draws, Perturbation
from withstand.perturbations.settle import rebuilt

Configuration = TypeVar("Configuration", Objective, Perturbation)


class Carried(nn.Module):
    """A network behind inputs that carry a target, a weight, or first the one and then the other.

    With a target the output is the network's less the target, whose `squared_error` to the label 0 is the regression's.
    With a weight the gradient through each row, in training mode, is multiplied by it: as that of a weighted sum of the
    rows' losses, however these are folded over draws. Outputs, and so the losses that are shown, stay unweighted.
    """

    def __init__(self, network: nn.Module, *, num_features: int, target: bool, weight: bool) -> None:
        """Keep the network, and what the columns behind the features are."""
        super().__init__()
        self.network, self.num_features, self.target, self.weight = network, num_features, target, weight

    def forward(self, x: Tensor) -> Tensor:
        """Return the network's outputs, or their distance to the target."""
        outputs = self.network(x[:, : self.num_features])
        if self.weight and self.training:
            weighted = outputs * x[:, -1:]
            outputs = weighted + (outputs - weighted).detach()
        return outputs - x[:, self.num_features, None] if self.target else outputs


@dataclass(frozen=True, kw_only=True)
class Kept(Perturbation):
    """A perturbation of the features alone.

    Attributes:
        perturbation: Of the whole input.
        num_features: The columns behind so many stay as they are.
    """

    perturbation: Perturbation
    num_features: int

    def draw(self, x: Tensor, y: Tensor, model: nn.Module, *, num_draws: int, rng: Rng) -> Draws:
        """Draw, and put the columns back."""
        draws = self.perturbation.draw(x, y, model, num_draws=num_draws, rng=rng)
        carried = x[:, self.num_features :].expand(num_draws, -1, -1)
        return draws._replace(inputs=torch.cat([draws.inputs[:, :, : self.num_features], carried], 2))

    @classmethod
    def examples(cls) -> list[Perturbation]:
        """None: it makes sense only beside `Carried`."""
        return []


def keep_carried(configuration: Configuration, *, num_features: int, num_carried: int) -> Configuration:
    """Return an objective or perturbation for inputs with further columns behind the features.

    Args:
        configuration: For the features, with the balls' units settled.
        num_features: Number of features.
        num_carried: Number of columns behind them; 0 changes nothing.

    Raises:
        InputError: If it is an objective other than `PerturbedRisk`.
    """
    if num_carried == 0:
        return configuration
    if isinstance(configuration, Objective) and not isinstance(configuration, PerturbedRisk):
        raise InputError(
            f"objective: weights and regression need a PerturbedRisk or a name, got {type(configuration).__name__}."
        )

    def rule(_: str, value: Any) -> Any:
        if not isinstance(value, Ball):
            return value
        return extended(value, num_features=num_features, num_carried=num_carried)

    own = rebuilt(configuration, rule)
    if isinstance(own, PerturbedRisk):
        return replace(own, perturbation=Kept(perturbation=own.perturbation, num_features=num_features))
    return Kept(perturbation=own, num_features=num_features)


def extended(ball: Ball, *, num_features: int, num_carried: int) -> Ball:
    """Return a ball, its units settled, in which the columns behind the features do not move."""
    radii = torch.as_tensor(ball.radii(torch.zeros(1, num_features))).expand(num_features).tolist()
    return replace(ball, radius=(*radii, *[0.0] * num_carried), unit="std", factors=None)
