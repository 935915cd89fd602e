"""Corruptions as functions of one image, as the packages imagecorruptions and imagenet_c have them."""

from collections.abc import Callable
from typing import Any, cast

import numpy as np
from PIL import Image
from torch import Generator

from withstand.compat.differing import jpeg_compression, pixelate
from withstand.errors import InputError
from withstand.functional.random import Rng
from withstand.functional.tensors import Levels
from withstand.perturbations.corruptions.corrupt import corruption_named, corruption_names
from withstand.perturbations.image_kinds import as_batch

Function = Callable[..., np.ndarray]
# Through Pillow alone, without a tensor: the conversions would take longer than the work.
_IN_8_BITS = {"pixelate": pixelate, "jpeg_compression": jpeg_compression}
Differing = Callable[[Levels, int, Rng], Levels]


def functions(differing: dict[str, Differing]) -> tuple[Function, ...]:
    """Return the 19 corruptions in the published order, with the parameters for 224 pixels.

    Args:
        differing: Functions to take instead of those of ImageNet-C.
    """
    return tuple(_function(name, differing.get(name)) for name in corruption_names("all"))


def chosen(known: dict[str, Function], name: str | None, number: int) -> Function:
    """Return the function of a name or, without one, of a number (a place among the names) other than -1.

    Raises:
        ValueError: If neither is given.
        KeyError: If there is no such name.
        IndexError: If there is no such number.
    """
    if name is not None:
        if not isinstance(name, str) or name not in known:
            raise KeyError(f"corruption_name must be one of {', '.join(known)}, got {name!r}")
        return known[name]
    if number == -1:
        raise ValueError("expected corruption_name or corruption_number, got neither")
    functions = list(known.values())
    if not isinstance(number, int | np.integer) or not -len(known) <= number < len(known):
        raise IndexError(f"corruption_number must be a whole number from 0 to {len(known) - 1}, got {number!r}")
    return functions[number]


def _function(name: str, differing: Differing | None) -> Function:
    def corrupted(x: np.ndarray | Image.Image, severity: int = 1) -> np.ndarray:
        if name in _IN_8_BITS and severity in (1, 2, 3, 4, 5):
            image = x if isinstance(x, Image.Image) else Image.fromarray(x)
            return cast(np.ndarray, np.uint8(cast(Any, _IN_8_BITS[name](image, severity))))  # copies once
        if not isinstance(severity, int | np.integer) or severity not in (1, 2, 3, 4, 5):
            raise InputError(f"{name}: severity must be 1, 2, 3, 4 or 5, got {severity!r}.")
        images, restore = as_batch(np.array(x) if isinstance(x, Image.Image) else x, who=name)
        # Scripts seed numpy's global generator, and only that.
        source = Generator().manual_seed(int(np.random.randint(2**62, dtype=np.int64)))  # noqa: NPY002
        corruption = corruption_named(name, cast(Any, severity), 224)  # checks the severity
        if differing is None:
            return restore(corruption.draw_levels(images, rng=source))
        return restore(differing(images, severity, source))

    corrupted.__name__ = corrupted.__qualname__ = name
    corrupted.__doc__ = f"Return an image (PIL or uint8 array) under {name}, as a uint8 array."
    return corrupted
