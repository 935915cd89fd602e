"""Perturbations that mix the samples of a batch, which are for training only."""

from withstand.data.space import Space
from withstand.errors import InputError
from withstand.perturbations.base import Perturbation


def mixes(perturbation: Perturbation) -> bool:
    """Return whether copies depend on other samples of the batch, also because of a perturbation that is held."""
    held = (each for each in perturbation.held() if isinstance(each, Perturbation))
    return perturbation.mixes_samples or any(map(mixes, held))


def refuse_mixing(perturbation: Perturbation) -> None:
    """Reject a perturbation outside of training if it mixes samples.

    Raises:
        InputError: If it does.
    """
    if mixes(perturbation):
        raise InputError(
            f"{perturbation.condition}: expected a perturbation of single samples, got one that mixes those of a "
            "batch; use it in training."
        )


def check_measured(perturbation: Perturbation, space: Space) -> None:
    """Reject a perturbation under which no model can be evaluated: it does not fit the space, or mixes samples.

    Raises:
        InputError: If it cannot.
    """
    refuse_mixing(perturbation)
    perturbation.check(space)
