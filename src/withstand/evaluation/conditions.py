"""The words that `--on` understands: named sets of conditions."""

from dataclasses import replace
from typing import Any, cast

from withstand.errors import InputError, nearest
from withstand.perturbations.base import Corruption, Perturbation
from withstand.perturbations.corruptions.suites import Pixels, extras, imagenet_c, nearest_pixels
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


def conditions(
    names: list[str], shape: tuple[int, ...], *, pixels: Pixels | None = None
) -> tuple[tuple[Perturbation, ...], tuple[str, ...]]:
    """Return the perturbations that names stand for, and what a reader of the results must know about them.

    Args:
        names: Sets (`clean`, `imagenet-c`, `corruptions`, `noise`), corruptions (`contrast`), or cells (`contrast/3`).
        shape: Shape of one input.
        pixels: Size of images whose published parameters the corruptions take; None takes the nearest to the images.

    Raises:
        InputError: If a name is not known, or the inputs are not images where corruptions are asked for.
    """
    if pixels is None and len(shape) == 3:
        pixels = nearest_pixels(*shape[1:])
    found = [each for name in names for each in _one(name, shape, pixels)]
    distinct = tuple({each.condition: each for each in found}.values())
    return distinct, _notes(distinct, shape, pixels)


def _one(name: str, shape: tuple[int, ...], pixels: Pixels | None) -> list[Perturbation]:
    if name == "clean":
        return [Identity()]
    if name == "noise":
        kinds = (Gaussian, UniformNoise, Speckle)
        return [kind(std=std) for kind in kinds for std in (0.1, 0.25, 0.5)]
    every = {each.condition: each for each in (*imagenet_c(), *extras())}
    one = [each for condition, each in every.items() if name in (condition, condition.rsplit("/", 1)[0])]
    if name not in ("imagenet-c", "corruptions") and not one:
        known = [*SETS, *dict.fromkeys(condition.rsplit("/", 1)[0] for condition in every)]
        raise InputError(f"on: {name} is not a known condition; {nearest(name, known)}")
    if len(shape) != 3:
        raise InputError(f"on: {name} needs images, got inputs of shape {shape}; try clean or noise.")
    if one:
        return [replace(cast(Any, each), pixels=pixels) for each in one]
    return [*imagenet_c(pixels=pixels), *(extras(pixels=pixels) if name == "corruptions" else ())]


def _notes(perturbations: tuple[Perturbation, ...], shape: tuple[int, ...], pixels: Pixels | None) -> tuple[str, ...]:
    if not any(isinstance(each, Corruption) for each in perturbations):
        return ()
    size = "" if shape[1:] == (pixels, pixels) else f" (the images have {shape[1]} x {shape[2]})"
    return (f"Corruptions in memory, without JPEG files; parameters for {pixels} pixels{size}.",)
