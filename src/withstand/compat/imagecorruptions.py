"""The functions of the package imagecorruptions 1.1.2.

`from withstand.compat.imagecorruptions import corrupt` replaces `from imagecorruptions import corrupt`: arguments,
defaults, order, results and types of exceptions are the same.

Random numbers differ from theirs. As there, they come from numpy's global generator, so seeding it makes results
reproducible: every call takes the seed of its draw from it.
"""

from typing import Any

import numpy as np

from withstand.compat.differing import elastic_transform as _elastic_transform
from withstand.compat.differing import frost as _frost
from withstand.compat.functions import chosen, functions
from withstand.perturbations.corruptions.corrupt import corruption_names

corruption_tuple = functions({"frost": _frost, "elastic_transform": _elastic_transform})
corruption_dict = {each.__name__: each for each in corruption_tuple}
(
    gaussian_noise, shot_noise, impulse_noise, defocus_blur, glass_blur, motion_blur, zoom_blur, snow, frost, fog,
    brightness, contrast, elastic_transform, pixelate, jpeg_compression,
    speckle_noise, gaussian_blur, spatter, saturate,
) = corruption_tuple  # fmt: skip


def corrupt(
    image: np.ndarray, severity: int = 1, corruption_name: str | None = None, corruption_number: int = -1
) -> np.ndarray:
    """Return a corrupted image.

    Args:
        image: Array (height, width), (height, width, 1) or (height, width, 3) of type uint8, at least 32 x 32 pixels.
        severity: From 1 to 5.
        corruption_name: A name of `get_corruption_names("all")`.
        corruption_number: Its place there, if no name is given.

    Returns:
        Array (height, width, 3) of type uint8; grey images become colour images.

    Raises:
        AttributeError: If the image or severity is invalid.
        ValueError: If neither name nor number is given.
        KeyError: If the name is unknown.

    Source:
        bethgelab/imagecorruptions, imagecorruptions/__init__.py, commit c959e65.

    Example:
        >>> corrupt(np.zeros((32, 40), np.uint8), 3, "contrast").shape
        (32, 40, 3)
    """
    _check(image, severity)
    if image.ndim == 2 or image.shape[2] == 1:
        image = np.repeat(image.reshape(*image.shape[:2], 1), 3, axis=2)
    return chosen(corruption_dict, corruption_name, corruption_number)(image, severity)


def get_corruption_names(subset: str = "common") -> list[str]:
    """Return the names of corruptions: common, validation, all, noise, blur, weather or digital.

    Raises:
        ValueError: If there is no such subset.
    """
    return corruption_names(subset)


def _check(image: Any, severity: Any) -> None:
    if not isinstance(image, np.ndarray):
        raise AttributeError(f"image must be a numpy.ndarray, got {type(image).__name__}")
    if image.dtype != np.uint8:
        raise AttributeError(f"image must be of type uint8, got {image.dtype}")
    if image.ndim not in (2, 3) or (image.ndim == 3 and image.shape[2] not in (1, 3)):
        raise AttributeError(f"image must be (height, width) or (height, width, 1 or 3), got shape {image.shape}")
    if min(image.shape[:2]) < 32:
        raise AttributeError(f"image must have at least 32 x 32 pixels, got shape {image.shape}")
    if severity not in (1, 2, 3, 4, 5):
        raise AttributeError(f"severity must be 1, 2, 3, 4 or 5, got {severity!r}")
