"""The words that `--on` understands: named sets of conditions."""

from withstand.errors import InputError, nearest
from withstand.perturbations.base import Perturbation
from withstand.perturbations.gaussian import Gaussian
from withstand.perturbations.identity import Identity
from withstand.perturbations.speckle import Speckle
from withstand.perturbations.uniform_noise import UniformNoise

SETS = {
    "clean": "unchanged inputs",
    "imagenet-c": "the corruptions of ImageNet-C at severities 1 to 5",
    "corruptions": "the same and the extra corruptions",
    "noise": "Gaussian, uniform and speckle noise of three strengths",
}


def conditions(names: list[str], shape: tuple[int, ...]) -> tuple[tuple[Perturbation, ...], tuple[str, ...]]:
    """Return the perturbations that names stand for, and what a reader of the results must know about them.

    Args:
        names: Sets (`clean`, `imagenet-c`, `corruptions`, `noise`), corruptions (`contrast`), or cells (`contrast/3`).
        shape: Shape of one input.

    Raises:
        InputError: If a name is not known, or the inputs are not images where corruptions are asked for.
    """
    found: list[Perturbation] = []
    for name in names:
        found += _one(name, shape)
    distinct = tuple({each.condition: each for each in found}.values())
    return distinct, _notes(distinct, shape)
