"""Corruption of one image by name."""

from collections.abc import Iterable
from functools import cache
from itertools import chain
from typing import Any

from withstand.errors import InputError, brief, nearest
from withstand.limits import Seed, checked
from withstand.perturbations.base import Corruption, Pixels
from withstand.perturbations.corruptions.severity import Severity
from withstand.perturbations.corruptions.suites import EXTRAS, IMAGENET_C, SUITES, nearest_pixels
from withstand.perturbations.image_kinds import as_batch
from withstand.perturbations.transform import changed

PROCEDURAL = "frost-procedural"


@checked
def corrupt(
    image: Any,
    corruption: str,
    severity: Severity | None = None,
    *,
    seed: Seed | None = None,
    pixels: Pixels | None = None,
) -> Any:
    """Return a corrupted copy of an image, or of every image of a batch, of the same kind, type and shape.

    Args:
        image: An array (height, width), (height, width, channel) or (batch, height, width, channel), a PIL image of
            mode L, LA, RGB or RGBA, or a tensor (..., channel, height, width); uint8, or floats in [0, 1]. Alpha
            channels stay unchanged.
        corruption: A name of `corruption_names`, or `frost-procedural`: frost with generated textures, which needs no
            files.
        severity: From 1 to 5; 1, 2, 3, 4 and 5 are published, and parameters between them are interpolated. Corruptions
            of MNIST-C have severity 1 only. None takes 3, or 1 if there is no other.
        seed: Seed of the draw; each image of a batch has its own draw. None takes a seed from PyTorch's global
            generator (`torch.manual_seed`).
        pixels: Image size whose published parameters apply: 224, 299, 64 or 32. None takes the size nearest to the
            shorter side, of those for which the corruption has parameters, such as 28 for those of MNIST-C.

    Returns:
        Values on the grid of 8 bits, as in ImageNet-C before it was saved as JPEG.

    Raises:
        InputError: If an argument is invalid.

    Example:
        >>> import numpy as np
        >>> foggy = corrupt(np.full((40, 60, 3), 100, np.uint8), "fog", severity=3, seed=0)
        >>> foggy.shape, foggy.dtype, bool(foggy.max() > foggy.min())
        ((40, 60, 3), dtype('uint8'), True)
    """
    known = [*_members(), PROCEDURAL]
    if corruption not in known:
        came = f"{brief(corruption)}; {nearest(corruption, known)}"
        raise InputError(f"corrupt: corruption must be a name such as fog, got {came}")
    images, restore = as_batch(image, who="corrupt")
    member = _member(corruption)
    size = nearest_pixels(*images.shape[2:], among=member.tables) if pixels is None else pixels
    usual = min(3, member.num_severities())
    chosen = corruption_named(corruption, usual if severity is None else severity, size)
    return restore(changed(chosen, images, seed=seed))


@checked
def corruption_names(subset: str = "common") -> list[str]:
    """Return the names of corruptions in the published order.

    Args:
        subset: `common`, the 15 of ImageNet-C; `validation`, the 4 extra ones; `all` of these; of the 15 the `noise`,
            `blur`, `weather` or `digital` ones; or those of another suite: `imagenet-c-bar`, `cifar10-c-bar`,
            `laion-c`, `3dcc` or `mnist-c`.

    Example:
        >>> corruption_names("noise"), len(corruption_names()), corruption_names("validation")[0]
        (['gaussian_noise', 'shot_noise', 'impulse_noise'], 15, 'speckle_noise')
    """
    common, validation = (_names(chain.from_iterable(suite.values())) for suite in (IMAGENET_C, EXTRAS))
    parts = {"common": common, "validation": validation, "all": common + validation}
    parts |= {group: _names(members) for group, members in IMAGENET_C.items()}
    parts |= {name: _names(members) for name, members in SUITES.items()}
    if subset not in parts:
        raise InputError(f"corruption_names: subset must be one of {', '.join(parts)}, got {brief(subset)}.")
    return parts[subset]


@checked
def corruption_named(name: str, severity: Severity, pixels: int) -> Corruption:
    """Return a corruption by its published name, or `frost-procedural`.

    Example:
        >>> corruption_named("fog", 3, 224)
        Fog(severity=3, pixels=224)
    """
    member: Any = _member(name)
    own = {"textures": "procedural"} if name == PROCEDURAL else {}
    return member(severity=severity, pixels=pixels, **own)


def _member(name: str) -> type[Corruption]:
    return _members()["frost" if name == PROCEDURAL else name]


@cache
def _members() -> dict[str, type[Corruption]]:
    groups = chain(IMAGENET_C.values(), EXTRAS.values(), SUITES.values())
    return {each.published_name(): each for each in chain.from_iterable(groups)}


def _names(members: Iterable[type[Corruption]]) -> list[str]:
    return [each.published_name() for each in members]
