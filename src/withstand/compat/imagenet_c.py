"""The functions of the package imagenet_c 0.0.3, which is part of hendrycks/robustness.

`from withstand.compat.imagenet_c import corrupt` replaces `from imagenet_c import corrupt`: arguments, defaults, order
and results are the same. Images may have any size; the parameters are those for 224 pixels, as there.

Random numbers differ from theirs. As there, they come from numpy's global generator, so seeding it makes results
reproducible: every call takes the seed of its draw from it.
"""

import numpy as np

from withstand.compat.functions import chosen, functions

corruption_tuple = functions({})
corruption_dict = {each.__name__: each for each in corruption_tuple}
(
    gaussian_noise, shot_noise, impulse_noise, defocus_blur, glass_blur, motion_blur, zoom_blur, snow, frost, fog,
    brightness, contrast, elastic_transform, pixelate, jpeg_compression,
    speckle_noise, gaussian_blur, spatter, saturate,
) = corruption_tuple  # fmt: skip


def corrupt(
    x: np.ndarray, severity: int = 1, corruption_name: str | None = None, corruption_number: int = -1
) -> np.ndarray:
    """Return a corrupted image.

    Args:
        x: Array (height, width, 3) or (height, width) of type uint8.
        severity: From 1 to 5.
        corruption_name: A key of `corruption_dict`.
        corruption_number: Its place there, if no name is given.

    Returns:
        Array of the same shape and type.

    Raises:
        ValueError: If the image or severity is invalid, or neither name nor number is given.
        KeyError: If the name is unknown.

    Source:
        hendrycks/robustness, ImageNet-C/imagenet_c/imagenet_c/__init__.py.
        Differs: severity 0, which there is severity 5, is refused.

    Example:
        >>> corrupt(np.zeros((224, 224, 3), np.uint8), 3, "contrast").shape
        (224, 224, 3)
    """
    name = None if isinstance(corruption_name, str) and not corruption_name else corruption_name
    return chosen(corruption_dict, name, corruption_number)(x, severity)
