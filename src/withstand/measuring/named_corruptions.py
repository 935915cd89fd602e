"""Corruptions by the names that `--on` accepts."""

import re
from dataclasses import replace
from itertools import chain
from typing import Any, cast

from withstand.conditions import JPEG
from withstand.perturbations.base import Perturbation, Pixels
from withstand.perturbations.corruptions.imagenet_c.frost import Textures
from withstand.perturbations.corruptions.suites import nearest_c_bar, nearest_pixels, other_suites, others
from withstand.perturbations.imagenet_c import ImageNetC
from withstand.perturbations.saved_as_jpeg import SavedAsJpeg

SUITE_WORDS = {
    "c-bar": "imagenet-c-bar, or cifar10-c-bar for images whose size is nearer to 32 pixels than to 224",
    "imagenet-c-bar": "the 10 corruptions of ImageNet-C-bar at severities 1 to 5, saved as JPEG",
    "cifar10-c-bar": "the 10 corruptions of CIFAR-10-C-bar at severities 1 to 5, lossless",
    "laion-c": "3 of the 6 corruptions of LAION-C at severities 1 to 5, lossless",
    "3dcc": "3 of the 12 corruptions of 3DCC (3D Common Corruptions) at severities 1 to 5, lossless",
    "mnist-c": "the 15 corruptions of MNIST-C, which have one severity, lossless",
}
BETWEEN = re.compile(r"[1-4]\.\d+|5\.0+")  # severities that are not written as whole numbers
IN_MEMORY, ALL = "imagenet-c-in-memory", "corruptions"


def named_corruptions(
    word: str, *, side: int, pixels: Pixels | None = None, frost: Textures | None = None
) -> list[Perturbation]:
    """Return the corruptions of a name; empty if it is unknown.

    Args:
        word: A suite (`imagenet-c`, `c-bar`, `mnist-c`), a corruption (`fog`), or one at a severity (`fog/3`,
            `fog/2.5`); the last two and `corruptions` also with `+jpeg`.
        side: Shorter side of the images, in pixels.
        pixels: Image size whose parameters apply; None takes the nearest.
        frost: Frost textures.

    Example:
        >>> [each.condition for each in named_corruptions("fog+jpeg", side=32)][:2]
        ['fog+jpeg/1', 'fog+jpeg/2']
    """
    if word == "clean" + JPEG:
        return [SavedAsJpeg()]
    side = pixels or side
    suite = ImageNetC(pixels=nearest_pixels(side, side), jpeg=False, frost=frost)
    every = replace(suite, validation=True).cells(side, side)
    suites = other_suites(pixels=side)
    kind, slash, severity = word.partition("/")
    plain, saved = kind.removesuffix(JPEG) + slash + severity, kind.endswith(JPEG)
    named = dict.fromkeys((*every, *chain.from_iterable(suites.values()), *others(pixels=suite.pixels)))
    chosen = [each for each in named if plain in _names(each.condition)]
    if BETWEEN.fullmatch(severity):
        mildest = [each for each in named if f"{kind.removesuffix(JPEG)}/1" in _names(each.condition)]
        chosen = [replace(cast(Any, each), severity=float(severity)) for each in mildest]
    if word in SUITE_WORDS:
        word = nearest_c_bar(side) if word == "c-bar" else word
        chosen, saved = suites[word], word == "imagenet-c-bar"
    elif word in ("imagenet-c", IN_MEMORY):
        chosen, saved = suite.cells(side, side), word == "imagenet-c" and suite.pixels != 32
    elif plain == ALL:
        chosen = every
    return [SavedAsJpeg(perturbation=each) if saved else each for each in chosen]


def _names(condition: str) -> set[str]:
    """Return the names of a cell and its corruption; `frost` is both kinds of textures."""
    cells = {condition, condition.replace("-procedural", "")}
    return cells | {each.rsplit("/", 1)[0] for each in cells}
