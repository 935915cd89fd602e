"""Corruptions by the names that `--on` accepts."""

from collections.abc import Sequence
from dataclasses import replace

from withstand.conditions import JPEG
from withstand.perturbations.base import Perturbation
from withstand.perturbations.corruptions.suites import c_bar, cifar10_c_bar, imagenet_c_bar, others
from withstand.perturbations.imagenet_c import ImageNetC
from withstand.perturbations.saved_as_jpeg import SavedAsJpeg

C_BAR_WORDS = {
    "c-bar": "imagenet-c-bar, or cifar10-c-bar for images whose size is nearer to 32 pixels than to 224",
    "imagenet-c-bar": "the 10 corruptions of ImageNet-C-bar at severities 1 to 5, saved as JPEG",
    "cifar10-c-bar": "the 10 corruptions of CIFAR-10-C-bar at severities 1 to 5, lossless",
}
IN_MEMORY, ALL = "imagenet-c-in-memory", "corruptions"


def named_corruptions(word: str, suite: ImageNetC) -> Sequence[Perturbation]:
    """Return the corruptions of a name; empty if it is unknown.

    Args:
        word: A suite (`imagenet-c`, `c-bar`), a corruption (`fog`) or a cell (`fog/3`); the last two and `corruptions`
            also with `+jpeg`.
        suite: ImageNet-C with the size and the frost textures to take.

    Example:
        >>> [each.condition for each in named_corruptions("fog+jpeg", ImageNetC(pixels=32))][:2]
        ['fog+jpeg/1', 'fog+jpeg/2']
    """
    if word == "clean" + JPEG:
        return [SavedAsJpeg()]
    assert suite.pixels is not None
    imagenet_bar, cifar10_bar = imagenet_c_bar(pixels=suite.pixels), cifar10_c_bar(pixels=suite.pixels)
    kind, slash, severity = word.partition("/")
    plain, saved = kind.removesuffix(JPEG) + slash + severity, kind.endswith(JPEG)
    published, every = (replace(suite, validation=each).cells(224, 224) for each in (False, True))
    named = dict.fromkeys((*every, *imagenet_bar, *cifar10_bar, *others(pixels=suite.pixels)))
    chosen = [each for each in named if plain in _names(each.condition)]
    if word in C_BAR_WORDS:
        suites = {"imagenet-c-bar": imagenet_bar, "cifar10-c-bar": cifar10_bar}
        chosen = suites.get(word) or c_bar(size=suite.pixels, pixels=suite.pixels)
        saved = chosen == imagenet_bar
    elif not chosen and (word in ("imagenet-c", IN_MEMORY) or plain == ALL):
        chosen = every if plain == ALL else published
        saved = saved or (word == "imagenet-c" and suite.pixels != 32)
    return [SavedAsJpeg(perturbation=each) if saved else each for each in chosen]


def _names(condition: str) -> set[str]:
    """Return the names of a cell and its corruption; `frost` is both kinds of textures."""
    cells = {condition, condition.replace("-procedural", "")}
    return cells | {each.rsplit("/", 1)[0] for each in cells}
