"""Encoding of images as files."""

import io
from typing import Any

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from withstand.data.images.decoding import ORIENTATION, TURNS, UPRIGHT
from withstand.data.images.files_below import JPEG_SUFFIXES

QUALITY, SUBSAMPLING = 85, "4:2:0"  # as the images of ImageNet-C
# By suffix: the format, and its options.
FORMATS: dict[str, tuple[str, dict[str, Any]]] = {
    **dict.fromkeys(JPEG_SUFFIXES, ("JPEG", {"quality": QUALITY, "subsampling": SUBSAMPLING, "optimize": True})),
    **dict.fromkeys((".tif", ".tiff"), ("TIFF", {})),
    **dict.fromkeys((".ppm", ".pgm"), ("PPM", {})),
    ".png": ("PNG", {}),
    ".bmp": ("BMP", {}),
    ".webp": ("WEBP", {"lossless": True}),
}


def encode(
    levels: UInt8[np.ndarray, "height width channel"], suffix: str, *, tag: int = UPRIGHT, is_turned: bool = False
) -> bytes:
    """Return an image as the content of a file; all formats but JPEG are lossless.

    Args:
        levels: The image, in 1 or 3 channels.
        suffix: Suffix of the file, in `FORMATS`; `.pgm` files are grey.
        tag: Orientation tag to write.
        is_turned: Whether the image was turned upright and is turned back, so that it has the tag's orientation.
    """
    image, buffer = Image.fromarray(levels[..., 0] if levels.shape[-1] == 1 else levels), io.BytesIO()
    name, options = FORMATS[suffix]
    if suffix == ".pgm":
        image = image.convert("L")
    if tag != UPRIGHT:
        image = image.transpose(TURNS[tag][1]) if is_turned else image
        exif = Image.Exif()
        exif[ORIENTATION] = tag
        options = {**options, "exif": exif}
    image.save(buffer, name, **options)
    return buffer.getvalue()
