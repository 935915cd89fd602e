"""The corruptions that differ between the package imagecorruptions and ImageNet-C."""

from functools import cache
from io import BytesIO
from math import ceil

import torch
from PIL import Image
from torch import Tensor

from withstand.data.frost_textures import read_frost_textures
from withstand.functional.kernels.cubic import resized_crop
from withstand.functional.kernels.gaussian import gaussian_filter
from withstand.functional.kernels.warp import displace
from withstand.functional.levels import truncated
from withstand.functional.random import Rng, uniform
from withstand.functional.tensors import Levels
from withstand.perturbations.corruptions.imagenet_c.jpeg_compression import JpegCompression
from withstand.perturbations.corruptions.imagenet_c.pixelate import Pixelate

_ALPHAS = (0.05, 0.065, 0.085, 0.1, 0.12)  # by severity; times 250 pixels
_FROST = ((1, 0.4), (0.8, 0.6), (0.7, 0.7), (0.65, 0.7), (0.6, 0.75))


def elastic_transform(levels: Levels, severity: int, rng: Rng) -> Levels:
    """Return images with a smooth random displacement of every pixel, without an affine map.

    Args:
        levels: The images.
        severity: From 1 to 5.
        rng: Source of the displacements.

    Returns:
        Images of the same shape.

    Source:
        bethgelab/imagecorruptions, imagecorruptions/corruptions.py, `elastic_transform`, commit c959e65.
    """
    height, width = levels.shape[-2:]
    numbers = uniform((len(levels), 2, height, width), rng=rng)
    field = gaussian_filter(numbers * 2 - 1, (0.01 * height, 0.01 * width), border="reflect", truncate=3)
    x = levels.float().contiguous().div_(255)
    moved = displace(x, field, amplitude=250 * _ALPHAS[severity - 1] * 0.005 * height)
    return truncated(moved.mul_(255).add_(1e-3))


def frost(levels: Levels, severity: int, rng: Rng) -> Levels:
    """Return images blended with a crop of a frost photograph, which is enlarged to cover each image.

    Args:
        levels: Colour images.
        severity: From 1 to 5.
        rng: Source of texture, row and column of each crop.

    Returns:
        Images of the same shape.

    Raises:
        InputError: If the published textures are not on this machine.

    Source:
        bethgelab/imagecorruptions, imagecorruptions/corruptions.py, `frost`, commit c959e65.
    """
    height, width = levels.shape[-2:]
    clearness, amount = _FROST[severity - 1]
    frozen, numbers = torch.empty_like(levels), uniform((len(levels), 3), rng=rng)
    for image, own, out in zip(levels, numbers.tolist(), frozen, strict=True):
        texture = _textures()[int(own[0] * len(_textures()))]
        factor = 1.1 * max(1.0, height / texture.shape[1], width / texture.shape[2])
        size = ceil(texture.shape[1] * factor), ceil(texture.shape[2] * factor)
        top, left = int(own[1] * (size[0] - height)), int(own[2] * (size[1] - width))
        crop = resized_crop(texture, size, range(top, top + height), range(left, left + width))
        mixed = torch.add(crop.float().mul_(amount), image, alpha=clearness).add_(1e-3)
        out.copy_(truncated(mixed.clamp_(0, 255)))
    return frozen


def pixelate(image: Image.Image, severity: int) -> Image.Image:
    """Return an image shrunk with the BOX filter of Pillow, then enlarged with NEAREST.

    Source:
        bethgelab/imagecorruptions, imagecorruptions/corruptions.py, `pixelate`, commit c959e65.
    """
    share = Pixelate.tables[224][severity - 1]
    small = image.resize((int(image.width * share), int(image.height * share)), Image.Resampling.BOX)
    return small.resize(image.size, Image.Resampling.NEAREST)


def jpeg_compression(image: Image.Image, severity: int) -> Image.Image:
    """Return an image after encoding to JPEG and decoding; equal to that of ImageNet-C, but with 8 bits throughout.

    Source:
        bethgelab/imagecorruptions, imagecorruptions/corruptions.py, `jpeg_compression`, commit c959e65.
    """
    file = BytesIO()
    image.save(file, "JPEG", quality=JpegCompression.tables[224][severity - 1])
    return Image.open(file)


@cache
def _textures() -> list[Tensor]:
    # With contiguous columns, see resized_crop.
    return [each.mT.contiguous().mT for each in read_frost_textures()]
