"""Fold: the base of all reductions of the outputs for a sample's copies to one loss."""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import one_hot

from withstand.configuration import Configuration
from withstand.functional.tensors import PerRow, Points, Targets
from withstand.perturbations.base import Draws, Perturbation

# One loss per point, from outputs (point, output) and targets (point) or (point, class).
LossOf = Callable[[Tensor, Tensor], PerRow]


class Fold(Configuration, ABC):
    """Reduces the outputs for the copies of each sample to one loss: a frozen keyword-only dataclass.

    Attributes:
        needs_probabilities: Whether it compares the probabilities of classes, so that the loss must be cross entropy.
    """

    needs_probabilities: ClassVar[bool] = False

    @property
    def takes_clean(self) -> bool:
        """Whether the first copy is the unchanged input."""
        return False

    @property
    def as_temperature(self) -> float | None:
        """Temperature of the soft maximum that the fold equals, in nats; None if it is no soft maximum."""
        return None

    def at(self, progress: float) -> "Fold":
        """Return the fold at a point of the training, from 0 (the first epoch) to 1 (the last); by default itself."""
        return self

    @abstractmethod
    def reduce(
        self,
        outputs: Float[Tensor, "copy batch output"],
        targets: Tensor,
        *,
        loss: LossOf,
        log_weights: Float[Tensor, "draw batch"] | None = None,
    ) -> PerRow:
        """Return one loss per sample.

        Args:
            outputs: Outputs for the copies; the first ones are those of the unchanged inputs if `takes_clean`.
            targets: Target of each copy: (copy, batch), or (copy, batch, class).
            loss: Loss of single points.
            log_weights: Logarithm of each draw's weight, the unchanged input not included; None means equal weights.
        """

    @classmethod
    @abstractmethod
    def examples(cls) -> list["Fold"]:
        """Return a few small instances, on which the contract tests run."""


def tempered(perturbation: Perturbation, fold: Fold) -> Perturbation:
    """Return the perturbation for the draws of a fold: at its temperature, or uniform where it has none."""
    return perturbation.tempered(math.inf if fold.as_temperature is None else fold.as_temperature)


def folded(fold: Fold, model: nn.Module, x: Points, y: Targets, draws: Draws, *, loss: LossOf) -> PerRow:
    """Return the fold's loss of each sample, with gradients through all copies in one forward pass.

    Args:
        fold: Reduces the outputs.
        model: Maps inputs to logits.
        x: The unchanged inputs.
        y: Their labels or targets.
        draws: Copies of the inputs.
        loss: Loss of single points.
    """
    inputs, targets = draws.inputs, y.expand(len(draws.inputs), -1) if draws.targets is None else draws.targets
    if fold.takes_clean:
        own = y if draws.targets is None else one_hot(y, draws.targets.shape[2]).to(draws.targets.dtype)
        inputs, targets = torch.cat([x[None], inputs]), torch.cat([own[None], targets])
    outputs = model(inputs.flatten(0, 1)).unflatten(0, (len(inputs), len(x)))
    return fold.reduce(outputs, targets, loss=loss, log_weights=draws.log_weights)


def with_unchanged(x: Tensor, y: Tensor, draws: Draws, more: Tensor, labels: Tensor) -> tuple[Tensor, Tensor, Draws]:
    """Return inputs, labels and draws with further samples, whose copies are unchanged.

    Args:
        x: The inputs.
        y: Their labels.
        draws: Copies of the inputs.
        more: Further inputs.
        labels: Their labels.
    """

    def longer(each: Tensor | None, new: Tensor) -> Tensor | None:
        return None if each is None else torch.cat([each, new.expand(len(each), *new.shape).to(each.dtype)], 1)

    classes = 0 if draws.targets is None else draws.targets.shape[2]
    own = Draws(
        torch.cat([draws.inputs, more.expand(len(draws.inputs), *more.shape)], 1),
        longer(draws.log_weights, torch.zeros(len(more), device=more.device)),
        longer(draws.targets, one_hot(labels, classes) if classes else labels),
    )
    return torch.cat([x, more]), torch.cat([y, labels]), own


def losses_of_copies(outputs: Tensor, targets: Tensor, loss: LossOf) -> Float[Tensor, "copy batch"]:
    """Return the loss of every copy."""
    return loss(outputs.flatten(0, 1), targets.flatten(0, 1)).view(outputs.shape[:2])


def log_probabilities(outputs: Float[Tensor, "copy batch class"]) -> Float[Tensor, "copy batch class"]:
    """Return the logarithms of the classes' probabilities, in float32 or better."""
    return (outputs if outputs.dtype == torch.float64 else outputs.float()).log_softmax(-1)


def shares_of_draws(log_weights: Tensor | None, outputs: Tensor) -> Float[Tensor, "draw batch"]:
    """Return the share of each draw, with sum 1 over the draws.

    Args:
        log_weights: As of `Draws`.
        outputs: For the draws alone, (draw, batch, output), in the precision of the result.
    """
    if log_weights is None:
        return torch.full(outputs.shape[:2], 1 / len(outputs), dtype=outputs.dtype, device=outputs.device)
    return log_weights.to(outputs.dtype).softmax(0)
